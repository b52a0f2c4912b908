"""`jaxopt-edu learn`: builds the site of the documentation and serves it on this machine."""

import contextlib
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import webbrowser
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jaxopt_edu
from jaxopt_edu.cli.cache import private_directory
from jaxopt_edu.storage.files import write_text
from jaxopt_edu.storage.private_places import private

HOST = "127.0.0.1"
PORT = 8765  # unless it is taken
NEEDED = ("sphinx", "furo", "myst_parser", "latex2mathml", "anywidget")
INSTALL = "pip install -e '.[docs]'"
MARK = ".jaxopt_edu_site"  # a file that says: this directory holds a built site
CHINESE = "zh_CN"
SPHINX = (  # as `python -m sphinx`, but Ctrl-C ends it without a traceback
    "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); "
    "from sphinx.cmd.build import main; sys.exit(main(sys.argv[1:]))"
)


def learn_arguments(command: Any) -> None:
    """The options of `learn`."""
    add = command.add_argument
    add("--build", metavar="DIR", help="only build the site, into this directory")
    words = f"serve at this port (default {PORT}, or a free one where it is taken)"
    add("--port", type=int, metavar="N", help=words)
    add("--no-browser", action="store_true", help="do not open a browser")
    add("--check-links", action="store_true", help="also ask for every link to other sites")
    command.set_defaults(json=False)


def run_learn(options: Any) -> tuple[Any, int]:
    """Builds the site; serves it until Ctrl-C, unless it was to be built only."""
    if options.build is not None and options.port is not None:
        raise ValueError(
            f"--port {options.port} with --build: nothing is served then; wanted one of them"
        )
    docs = sources()
    check_extra()
    if options.port is not None and not 1 <= options.port <= 65535:
        raise ValueError(f"--port {options.port}: wanted an integer from 1 to 65535")
    if options.build is not None:
        status = build(docs, check_site(options.build), options.check_links, strict=True)
        told = f"site: {Path(options.build) / 'index.html'}"
        return told if status == 0 else f"{told} (with warnings)", status
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(listen(options.port))
        directory = own_directory(docs) or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        status = build(docs, check_site(directory), options.check_links, strict=False)
        if status:
            return "the site was not built", status
        server.RequestHandlerClass = partial(Pages, directory=str(directory))
        serve(server, not options.no_browser)
    return "stopped", 0


# ------------------------------------------------------------------------------------ what it needs


def sources() -> Path:
    """The directory of the site's sources. ValueError where this installation has none."""
    package = Path(jaxopt_edu.__file__).resolve().parent
    docs = package.parent / "docs"
    if not (docs / "conf.py").is_file():
        raise ValueError(
            f"learn: there are no sources of the site beside {package}: a wheel has none. "
            f"In a copy of the repository, `{INSTALL}` and `jaxopt-edu learn` build it"
        )
    return docs


def check_extra() -> None:
    """ImportError that tells what to install where the extra `docs` is missing."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(f"learn needs {', '.join(missing)}: {INSTALL}")


def check_site(given: str | Path) -> Path:
    """The directory, made and marked as a site.

    ValueError where it is a file, holds something else than a site, or cannot be written.
    """
    if not str(given):
        raise ValueError("--build '': wanted a directory")
    path = Path(given)
    try:
        if path.exists() and not path.is_dir():
            raise ValueError(f"--build {path} is a file: wanted a directory")
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()) and not (path / MARK).is_file():
            told = f"--build {path} holds something else than a site"
            raise ValueError(f"{told}: give another directory")
        write_text(path / MARK, "built by jaxopt-edu learn\n")
    except OSError as error:
        told = f"--build {path}: {error.strerror or error}"
        raise ValueError(f"{told}; wanted a directory that can be made and written") from None
    return path


def own_directory(docs: Path) -> Path | None:
    """The place in the user's cache of the site of these sources; None where there is none."""
    return private(f"site-{hashlib.sha256(str(docs).encode()).hexdigest()[:12]}")


# --------------------------------------------------------------------------------------- building


def build(docs: Path, directory: Path, links: bool, strict: bool) -> int:
    """Builds what is missing or changed; 0 when done, 1 where there are warnings and it is strict.

    strict: a warning (a link that leads nowhere, a name that is not explained) is an error.
    """
    words = "about 3 minutes at the first time on 2 cores, then seconds"
    print(f"building the site ({words}; Ctrl-C ends)", file=sys.stderr)
    status = sphinx("html", docs, directory, strict)
    pages = chinese(docs)
    if not pages:
        shutil.rmtree(directory / "zh", ignore_errors=True)
    elif not status:
        status = sphinx("html", docs, directory / "zh", strict, "-t", CHINESE, "-D",
                        f"language={CHINESE}")  # fmt: skip
    if links and not status:
        status = sphinx("linkcheck", docs, directory / ".links", strict)
    return status


def sphinx(builder: str, docs: Path, out: Path, strict: bool, *more: str) -> int:
    """Runs a builder of Sphinx in a process of its own; its exit status, 1 for any failure."""
    command = [sys.executable, "-c", SPHINX, "-b", builder, *more]
    command += [] if sys.stdout.isatty() else ["-q"]  # what it does, page by page, for who waits
    command += ["-W", "--keep-going"] if strict else []
    programs = private_directory()
    environment = dict(os.environ)
    if programs is not None:
        environment.setdefault("JAX_COMPILATION_CACHE_DIR", str(programs))
        environment.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.05")
    done = subprocess.run([*command, str(docs), str(out)], env=environment, check=False)
    return int(done.returncode != 0)


def chinese(docs: Path) -> list[str]:
    """The pages that are translated whole, as docs/conf.py finds them."""
    spec = importlib.util.spec_from_file_location("_", docs / "_ext" / "translations.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return list(module.complete(docs, CHINESE))


# ---------------------------------------------------------------------------------------- serving


class Pages(SimpleHTTPRequestHandler):
    """Files of the site, quietly, and never from the browser's memory of an earlier build."""

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    """One that answers at its port alone: an address that another listens at is taken."""

    allow_reuse_address = os.name != "nt"
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader that went away before the page was whole is no error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def listen(port: int | None) -> Server:
    """A server at the port, or at a free one where none was asked for; for this machine only."""
    for wanted in (PORT, 0) if port is None else (port,):
        try:
            return Server((HOST, wanted), Pages)
        except OSError as error:
            if port is not None:
                raise ValueError(f"--port {port}: {error.strerror or error}") from None
    raise OSError(f"no free port at {HOST}")


def serve(server: Server, browser: bool) -> None:
    """Serves until Ctrl-C."""
    url = f"http://{HOST}:{server.server_address[1]}/"
    with contextlib.suppress(KeyboardInterrupt):
        print(f"{url}  (Ctrl-C ends)", file=sys.stderr, flush=True)
        if browser:
            webbrowser.open(url)
        server.serve_forever(poll_interval=0.2)
