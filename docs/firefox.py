"""Checks the chapters of a built site in Firefox: `python docs/firefox.py DIR`.

Every figure is drawn, a key moves a slider, and the sentence below the figure says something else
then. Needs firefox or firefox-esr, and the package marionette-driver.
"""

import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from check import served
from marionette_driver.by import By
from marionette_driver.keys import Keys
from marionette_driver.marionette import Marionette
from marionette_driver.wait import Wait

DRAWN = "return [...document.querySelectorAll('.explorable')].every(f => f.dataset.drawn)"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wrong_of(browser: Marionette, address: str) -> list[str]:
    """What is wrong with the figures of a page."""
    browser.navigate(address)
    Wait(browser, timeout=20).until(lambda b: b.execute_script(DRAWN))
    figures = browser.find_elements(By.CSS_SELECTOR, ".explorable")
    wrong = [] if figures else ["no figure"]
    for figure in figures:
        name, before = figure.get_attribute("id"), says(figure)
        sliders = figure.find_elements(By.CSS_SELECTOR, "input[type=range]")
        sliders = [slider for slider in sliders if slider.is_displayed()]
        if not before or not sliders:
            wrong.append(f"{name}: no sentence or no slider")
            continue
        for slider in sliders:
            for key in (Keys.ARROW_RIGHT, Keys.ARROW_LEFT, Keys.ARROW_LEFT):
                slider.send_keys(key)
        try:
            Wait(browser, timeout=5).until(lambda _, f=figure, b=before: says(f) != b)
        except Exception:
            wrong.append(f"{name}: no slider changes the sentence")
    return wrong


def says(figure: object) -> str:
    return figure.find_element(By.CSS_SELECTOR, ".says").text  # type: ignore[attr-defined]


def main(root: Path) -> int:
    """0 where every chapter is as it should be."""
    firefox = shutil.which("firefox-esr") or shutil.which("firefox")
    if firefox is None:
        raise SystemExit("the check needs Firefox: apt-get install firefox-esr")
    chapters = sorted(p for p in (root / "learn").glob("*.html") if p.stem != "index")
    found = {}
    with tempfile.TemporaryDirectory() as profile, served(root) as address:
        port = free_port()
        prefs = {"marionette.port": port, "datareporting.policy.dataSubmissionEnabled": False,
                 "app.update.disabledForTesting": True}  # fmt: skip
        told = "".join(f'user_pref("{k}", {str(v).lower()});\n' for k, v in prefs.items())
        (Path(profile) / "user.js").write_text(told)
        command = [firefox, "--headless", "--marionette", "--no-remote", "--profile", profile]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            browser = Marionette(host="127.0.0.1", port=port)
            browser.raise_for_port(timeout=60)
            browser.start_session()
            for path in chapters:
                found[path.stem] = wrong_of(browser, f"{address}/learn/{path.name}")
            browser.delete_session()
        finally:
            process.terminate()
            process.wait(30)
    for name, wrong in found.items():
        print(f"{name:12} {'; '.join(wrong) or 'drawn, moved, said'}")
    return int(any(found.values()) or not found)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
