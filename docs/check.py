"""Checks a built site in a browser: `python docs/check.py DIR [PAGE ...] [--no-times]`.

Every page: nothing that axe-core finds against WCAG 2.1 A and AA or its best practice, in light
and in dark; no error on the console; nothing asked of another origin, nothing missing; ready within
1 s, and within 3 s by a processor four times slower; sliders move at 60 frames a second; no wider
than a phone; at most 500 kB of HTML.
The site: shared styles and scripts at most 250 kB, the search index at most 1 MB, the script of a
figure at most 4 kB beside a runtime of 20 kB; every internal link and anchor is there.
With --no-times the times are printed and not judged: for a machine that has other work.
Prints a table; exit status 1 where something is not so. Needs chromium, playwright and
axe-playwright-python.
"""

import contextlib
import importlib.util
import shutil
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import policy  # noqa: E402
from playwright.sync_api import Browser, Page, sync_playwright  # noqa: E402

BROWSERS = 2
PAGE, SHARED, INDEX = 500_000, 250_000, 1_000_000  # bytes
RUNTIME, FIGURE = 20_000, 4096
RUNTIME_FILES = ("runtime", "figure")
READY, SLOW_READY, SLOWER = 1000, 3000, 4  # ms, ms, times
FRAME = 17.5  # ms, the median while sliders move: 60 frames a second
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
AXE = """rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']}).then(found =>
  found.violations.flatMap(v => v.nodes.slice(0, 3).map(
    n => `${v.id}: ${n.html.slice(0, 120)}`)))"""

DRAWN = """async () => {
  const figures = [...document.querySelectorAll('.explorable')];
  while (!figures.every(figure => figure.dataset.drawn)) await new Promise(requestAnimationFrame);
}"""
FRAMES = """async () => {
  const times = [], frame = () => new Promise(requestAnimationFrame);
  for (const slider of document.querySelectorAll('.explorable input[type=range]')) {
    let last = await frame();
    for (let k = 0; k < 30; k++) {
      slider.value = (+slider.value + 1) % (+slider.max + 1);
      slider.dispatchEvent(new Event('input', { bubbles: true }));
      const now = await frame();
      times.push(now - last);
      last = now;
    }
  }
  return times.sort((a, b) => a - b)[times.length >> 1] ?? 0;
}"""


@dataclass
class Found:
    """What was seen of a page: sizes in bytes, times in ms, and what is wrong."""

    page: str
    size: int
    ready: float = 0.0
    slow: float = 0.0
    frame: float = 0.0
    wrong: list[str] = field(default_factory=list)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextlib.contextmanager
def served(root: Path) -> Iterator[str]:
    """The address of a server of the directory."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def axe() -> Path:
    """The script of axe-core, of the package axe-playwright-python."""
    spec = importlib.util.find_spec("axe_playwright_python")
    if spec is None or spec.origin is None:
        raise ImportError("the check needs axe-core: pip install axe-playwright-python")
    return Path(spec.origin).parent / "axe.min.js"


def listen(page: Page, address: str, wrong: list[str]) -> None:
    """Notes errors of the console and of the network, and what is asked of another origin."""

    def asked(request: Any) -> None:
        if urlsplit(request.url).scheme in ("http", "https") and not request.url.startswith(
            address
        ):
            wrong.append(f"asks {request.url}")

    def failed(request: Any) -> None:
        if request.failure != "net::ERR_ABORTED":  # the next page was opened meanwhile
            wrong.append(f"not loaded: {request.url}")

    def console(message: Any) -> None:
        if message.type in ("error", "warning"):
            wrong.append(f"console: {message.text[:200]}")

    page.on("request", asked)
    page.on("console", console)
    page.on("pageerror", lambda error: wrong.append(f"script: {error}"))
    page.on("requestfailed", failed)


def quickest(page: Page, url: str, most: float) -> float:
    """ms until a page is ready; the best of three where it is late, as others may be at work."""
    tries = [opened(page, url)]
    while tries[-1] > most and len(tries) < 3:
        tries.append(opened(page, url))
    return min(tries)


def opened(page: Page, url: str) -> float:
    """Opens a page; ms until all of it has run, every figure and a frame are drawn."""
    page.goto(url, wait_until="load")
    page.evaluate(DRAWN)
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
    return float(page.evaluate("() => performance.now()"))


def visit(browser: Browser, address: str, found: Found) -> None:
    """As a reader: at the speed of this machine, and slowed."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    listen(page, address, found.wrong)
    found.ready = quickest(page, f"{address}/{found.page}", READY)
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    found.slow = quickest(page, f"{address}/{found.page}", SLOW_READY)
    session.send("Emulation.setCPUThrottlingRate", {"rate": 1})
    found.frame = min(page.evaluate(FRAMES) for _ in range(2))
    page.set_viewport_size({"width": 390, "height": 844})
    if page.evaluate("() => document.documentElement.scrollWidth > innerWidth + 1"):
        found.wrong.append("wider than a phone")
    page.close()


def judged(browser: Browser, address: str, found: Found) -> None:
    """By axe-core, in light and dark; it is a script from elsewhere, so the policy is off."""
    for scheme in ("light", "dark"):
        context = browser.new_context(
            bypass_csp=True, color_scheme=scheme, viewport={"width": 1280, "height": 900}
        )
        page = context.new_page()
        opened(page, f"{address}/{found.page}")
        page.add_script_tag(path=str(axe()))
        found.wrong += [f"axe, {scheme}: {told}" for told in page.evaluate(AXE, RULES)]
        context.close()


def late(found: Found) -> list[str]:
    """Which times are too long; a machine that has other work makes them so."""
    times = {
        f"ready after {found.ready:.0f} ms, at most {READY}": found.ready > READY,
        f"slowed, ready after {found.slow:.0f} ms, at most {SLOW_READY}": found.slow > SLOW_READY,
        f"{found.frame:.1f} ms a frame, at most {FRAME}": found.frame > FRAME,
    }
    return [told for told, wrong in times.items() if wrong]


def check_pages(address: str, timed: bool, pages: list[Found]) -> None:
    """Checks pages one after another in a browser of its own."""
    with sync_playwright() as playwright:
        path = shutil.which("chromium") or playwright.chromium.executable_path
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for found in pages:
            visit(browser, address, found)
            judged(browser, address, found)
            if found.size > PAGE:
                found.wrong.append(f"{found.size} bytes of HTML: at most {PAGE}")
            if timed:
                found.wrong += late(found)
        browser.close()


def check_site(root: Path) -> list[str]:
    """What is wrong with the files of the site as a whole."""
    texts = policy.own_pages(root, other=True)
    scripts = [p for p in (root / "_static").rglob("*") if p.suffix in (".css", ".js")]
    figures = {p for p in scripts if p.parent.name == "figures" and "_" in p.stem}
    runtime = [p for p in scripts if p.parent.name == "figures" and p.stem in RUNTIME_FILES]
    sizes = {
        "shared styles and scripts": (_size(set(scripts) - figures), SHARED),
        "runtime of the figures": (_size(runtime), RUNTIME),
        "search index": (_size([root / "searchindex.js"]), INDEX),
    }
    for name, (size, most) in sizes.items():
        print(f"{name}: {size / 1000:.1f} kB of {most / 1000:.0f}")
    sizes |= {f"script of the figure {p.stem}": (_size([p]), FIGURE) for p in sorted(figures)}
    over = [(name, *pair) for name, pair in sizes.items() if pair[0] > pair[1]]
    wrong = [f"{name}: {size} bytes, at most {most}" for name, size, most in over]
    for path, text in texts.items():
        wrong += [f"{path.relative_to(root)}: {told}" for told in policy.violations(text)]
    return [*wrong, *policy.broken(root, texts)]


def _size(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths)


def main(arguments: list[str]) -> int:
    timed = "--no-times" not in arguments
    arguments = [given for given in arguments if given != "--no-times"]
    if not arguments or not (Path(arguments[0]) / "index.html").is_file():
        print(f"{__doc__}\nwanted the directory of a built site", file=sys.stderr)
        return 2
    root = Path(arguments[0]).resolve()
    names = arguments[1:] or [p.relative_to(root).as_posix() for p in sorted(root.rglob("*.html"))]
    names = [name for name in names if not name.startswith("_files/")]
    pages = [Found(name, (root / name).stat().st_size) for name in names]
    with served(root) as address, ThreadPoolExecutor(BROWSERS) as pool:
        largest_first = sorted(pages, key=lambda found: -found.size)
        shares = [largest_first[i::BROWSERS] for i in range(BROWSERS)]
        list(pool.map(partial(check_pages, address, timed), shares))
    print(f"{'page':42} {'kB':>5} {'ready':>6} {'slowed':>7} {'frame':>6}  wrong")
    for found in pages:
        row = f"{found.page:42} {found.size / 1000:5.0f} {found.ready:6.0f} {found.slow:7.0f}"
        row += f" {found.frame:6.1f}" if found.frame else " " * 7
        print(row, "", len(found.wrong) or "")
    wrong = check_site(root)
    wrong += [f"{found.page}: {told}" for found in pages for told in found.wrong]
    print(f"{len(pages)} pages, {len(wrong)} violations")
    for told in wrong:
        print(f"  {told}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
