"""An animation of a race: what grows is the paths, in a file and in a notebook."""

import io
import re
import shutil
from html import unescape

import numpy as np
import pytest
from PIL import Image

import jaxopt_edu as jo
from jaxopt_edu.view.plot.figure import COLOURS

CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="module")
def race():
    return jo.race("booth", ["sgd", "adam"], 60, scans=8, learning_rate={"sgd": 0.02})


@pytest.fixture(scope="module")
def animation(race):
    return jo.plot.animate_race(race, frames=7, fps=10)


@pytest.fixture(scope="module")
def gif(animation, tmp_path_factory):
    path = tmp_path_factory.mktemp("race") / "race.gif"
    assert jo.plot.save(animation, path) == path
    return path


def frames(path):
    with Image.open(path) as picture:
        for k in range(picture.n_frames):
            picture.seek(k)
            yield np.asarray(picture.convert("RGB")), picture.info["duration"]


def inked(picture, colour):
    """How many pixels of the panels have this colour."""
    wanted = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
    return int(np.all(np.abs(picture[:500].astype(int) - wanted) <= 2, axis=-1).sum())


def test_steps_are_spread_evenly_over_the_race(race, animation):
    assert animation.steps == (0, 10, 20, 30, 40, 50, 60)
    every = jo.plot.animate_race(race, frames=1000)
    assert (
        every.steps == tuple(range(61))
        and repr(every) == "Animation(booth, 61 frames, 15 a second)"
    )


def test_the_file_has_a_frame_for_each_step_and_ends_with_a_pause(gif):
    found = list(frames(gif))
    assert [t for _, t in found] == [100] * 6 + [2500]
    assert {x.shape for x, _ in found} == {(640, 960, 3)}
    for colour in COLOURS[:2]:  # the paths grow
        seen = [inked(x, colour) for x, _ in found]
        assert seen[-1] > seen[0] + 50 and np.min(np.diff(seen)) > -150  # markers hide some
    assert np.all(found[0][0][5, 5] == 255)  # white is white
    assert b"NETSCAPE2.0" in gif.read_bytes()  # it runs again and again


def test_its_last_frame_is_the_picture_of_the_whole_race(race, gif):
    *_, (last, _) = frames(gif)
    stage = jo.plot.animate_race(race)._stage
    apart = np.abs(last.astype(int) - stage.at(60)[..., :3]).max(axis=-1)
    assert np.mean(apart > 30) < 0.005 and apart.mean() < 0.5  # edges of letters at most


def test_a_file_is_whole_or_not_there(animation, tmp_path, monkeypatch):
    path = tmp_path / "race.gif"
    path.write_bytes(b"mine")
    with monkeypatch.context() as change:
        change.setattr("jaxopt_edu.view.plot.animation.Stage.at", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            jo.plot.save(animation, path)
    assert path.read_bytes() == b"mine" and list(tmp_path.iterdir()) == [path]
    with pytest.raises(ValueError, match="format = 'png': an animation is written as 'gif'"):
        jo.plot.save(animation, tmp_path / "race.png")
    with pytest.raises(FileNotFoundError, match="cannot write"):
        jo.plot.save(animation, tmp_path / "nowhere" / "race.gif")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda race: jo.plot.animate_race(3), TypeError, "result = int: animate_race wants"),
        (lambda race: jo.plot.animate_race(race, frames=1), ValueError, "frames = 1: wanted an"),
        (lambda race: jo.plot.animate_race(race, frames=2.5), ValueError, "frames = 2.5: wanted"),
        (lambda race: jo.plot.animate_race(race, fps=0), ValueError, "fps = 0: .* from 1 to 50"),
        (lambda race: jo.plot.animate_race(race, fps=60), ValueError, "fps = 60: .* from 1 to 50"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(call, error, said, race):
    with pytest.raises(error, match=said):
        call(race)


def test_savefig_takes_a_path_too(animation, tmp_path, monkeypatch):
    path = tmp_path / "race.gif"
    animation.savefig(str(path))
    whole = path.read_bytes()
    assert whole.startswith(b"GIF89a")
    with monkeypatch.context() as change:
        change.setattr("jaxopt_edu.view.plot.animation.Stage.at", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            animation.savefig(path)
    assert path.read_bytes() == whole and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda a, d: jo.plot.save(None, d / "a.gif"), TypeError, "figure = None: wanted a figure"),
        (lambda a, d: jo.plot.save(a, None), TypeError, "path = None: wanted the path of a file"),
        (lambda a, d: jo.plot.save(a, ""), TypeError, "path = '': wanted the path of a file"),
        (lambda a, d: jo.plot.save(a, d), IsADirectoryError, "path = .* is a directory"),
        (lambda a, d: a.savefig(None), TypeError, "file = None: wanted the path of a file"),
        (lambda a, d: a.savefig(d), IsADirectoryError, "file = .* is a directory: wanted a file"),
        (lambda a, d: a.savefig(d / "a.png"), ValueError, "format = 'png': an animation is"),
        (lambda a, d: jo.plot.animate_race(a.race, fps="9"), ValueError, "fps = '9': wanted"),
    ],
)  # fmt: skip
def test_what_cannot_be_saved_is_named(call, error, said, animation, tmp_path):
    with pytest.raises(error, match=said):
        call(animation, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_markers_at_the_ends_are_whole(animation):
    stage = animation._stage
    box = stage.right.get_window_extent()
    for lines in stage.lines:
        _, line, head = lines[1]
        x = stage.right.transData.transform(line.grown.T)[[0, -1], 0]
        half = head.get_markersize() / 2 * stage.figure.dpi / 72
        assert box.x0 <= x[0] - half and x[1] + half <= box.x1


def test_one_that_diverges_stops_where_it_did():
    race = jo.race("rosenbrock", ["sgd", "adam"], 30, scans=4, learning_rate={"sgd": 1e3})
    stage = jo.plot.animate_race(race)._stage
    lines = zip(race.racers, stage.lines, strict=True)
    ends = {racer.name: len(line[0][1].grown[0]) for racer, line in lines}
    assert ends["adam"] == 31 > ends["sgd"] > 0
    assert all(np.isfinite(one.grown).all() for line in stage.lines for _, one, _ in line)
    assert stage.at(30).shape == (640, 960, 4) and stage.told()["racers"]


def test_a_long_race_keeps_few_points():
    stage = jo.plot.animate_race(jo.race("booth", ["sgd"], 5000, scans=2))._stage
    assert len(stage.kept) <= 2000 and stage.kept[[0, -1]].tolist() == [0, 5000]


# -------------------------------------------------------------------------------- in a notebook


def page_of(animation):
    return unescape(re.search(r'srcdoc="(.*?)"', animation._repr_html_(), re.S)[1])


def test_the_cell_is_one_frame_that_needs_nothing_from_elsewhere(animation):
    cell = animation._repr_html_()
    assert cell.startswith('<iframe sandbox="allow-scripts" ') and cell.count("<") == 2
    page = page_of(animation)
    assert "default-src 'none'" in page and len(cell) < 400_000
    known = ("http://www.w3.org/2000/svg",)
    assert set(re.findall(r"https?://[^\"'`]+", page)) <= set(known)


def test_names_are_words_in_the_cell():
    def evil(x):
        """</script><script>alert(1)</script> $x^2$"""
        return x[0] ** 2 + x[1] ** 2

    evil.__name__ = "</script><img src=x>"
    race = jo.race(evil, {"<b>a": "sgd"}, 5, scans=2, start=(1, 1), learning_rate=0.1)
    page = page_of(jo.plot.animate_race(race))
    assert page.count("</script>") == 2 and "<img" not in page and "<b>" not in page


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not on the PATH")
def test_the_slider_and_the_button_move_it(animation):
    from playwright.sync_api import sync_playwright

    heard = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1000, "height": 760})
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("console", lambda m: m.type == "error" and heard.append(m.text))
        page.set_content(animation._repr_html_())
        inner = page.frame_locator("iframe")
        slider, text = inner.locator("input"), inner.locator("svg > text")

        def points(k):
            return len(inner.locator("polyline").nth(k).get_attribute("points").split())

        assert text.text_content() == "step 60 of 60"  # untouched it shows the end
        whole = [points(k) for k in range(4)]
        assert whole == [61] * 4 and inner.locator("polygon").count() == 4
        slider.focus()
        page.keyboard.press("Home")
        assert [points(k) for k in range(4)] == [1] * 4
        page.keyboard.press("ArrowRight")
        assert text.text_content() == slider.get_attribute("aria-valuetext") == "step 10 of 60"
        assert [points(k) for k in range(4)] == [11] * 4
        inner.locator("button").click()
        inner.locator("button", has_text="Play").wait_for()  # it stops at the end
        assert [points(k) for k in range(4)] == whole
        browser.close()
    assert not heard


def test_bytes_can_go_anywhere(animation):
    file = io.BytesIO()
    animation.savefig(file, format="gif")
    assert file.getvalue().startswith(b"GIF89a")
