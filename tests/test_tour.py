"""docs/tour.md: what it says happens, happens, in that order."""

import re
import sys
from pathlib import Path

import jaxopt_edu as jo
from jaxopt_edu.values.compiling import Compiled

ROOT = Path(__file__).parent.parent
TOUR = (ROOT / "docs" / "tour.md").read_text()
PACKAGE = Path(jo.__file__).parent
EXPERIMENT = jo.Training(
    model=jo.models.Linear(1), loss=jo.losses.squared_error, optimizer=jo.sgd(0.1),
    data=jo.data.load("linear"),
)  # fmt: skip


def place(code):
    """The file and the function or class at its top level that code of the package belongs to."""
    path = Path(code.co_filename)
    if not path.is_relative_to(PACKAGE):
        return None
    return f"{path.stem}.{code.co_qualname.partition('.')[0]}"


def hops(call, monkeypatch):
    """The functions and classes of other files that are entered by a call, or by what it calls on
    its way to the first compiled program, in their order."""
    entered, path = [], []

    def note(frame, event, _):
        if event == "call" and place(frame.f_code) and frame.f_back is not None:
            entered.append((frame.f_back.f_code, frame.f_code))

    def reached(first):
        def at(*arguments):
            sys.setprofile(before)
            frame = sys._getframe(1)
            while frame is not None and not done:
                path.append(frame.f_code)
                frame = frame.f_back
            done.append(True)
            return first(*arguments)

        return at

    done: list = []
    for name in ("lower", "__call__"):  # whichever comes first
        monkeypatch.setattr(Compiled, name, reached(getattr(Compiled, name)))
    before = sys.getprofile()
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(before)
    steps = (
        place(code) for by, code in entered
        if by in path and place(by) and by.co_filename != code.co_filename
    )  # fmt: skip
    return list(dict.fromkeys(steps))


def test_fit_takes_the_hops_that_the_tour_lists(monkeypatch):
    found = hops(lambda: jo.fit(EXPERIMENT, 4, progress=False), monkeypatch)
    listed = re.findall(r"^\| (\d+) \| \[`([\w.]+)`\]\(\.\./jaxopt_edu/([\w/.]+)\)", TOUR, re.M)
    assert [int(number) for number, _, _ in listed] == list(range(1, len(listed) + 1))
    assert [name for _, name, _ in listed] == found
    assert len(found) <= 7
    for _, name, file in listed:
        assert Path(file).stem == name.partition(".")[0] and (PACKAGE / file).exists()


def test_hops_are_seen(monkeypatch):
    def detour():
        jo.fit(EXPERIMENT, jo.data.load("linear").train.size)

    detour.__code__ = detour.__code__.replace(co_filename=str(PACKAGE / "detour.py"))
    found = hops(detour, monkeypatch)
    assert found[:2] == ["loading.load", "dataset.Part"] and "fitting.fit" in found


def test_its_blocks_run(capsys):
    blocks = re.findall(r"```python\n(.*?)```", TOUR, re.DOTALL)
    space: dict = {}
    for block in blocks:
        exec(compile(block, "docs/tour.md", "exec"), space)
    assert "module @jit_advance_lanes" in capsys.readouterr().out
    assert len(blocks) >= 5
