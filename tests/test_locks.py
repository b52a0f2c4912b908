"""Laws of locks: one writer at a time, on every system, and none outlives its process."""

import errno
import json
import os
import socket
import subprocess
import sys

import children
import pytest
from test_files import EXPERIMENT, SPACE

import jaxopt_edu as jo
from jaxopt_edu.storage import lock


@pytest.fixture(params=["fcntl", "no fcntl"])
def system(request, monkeypatch):
    if request.param == "no fcntl":
        monkeypatch.setitem(sys.modules, "fcntl", None)
    return request.param


def test_a_second_writer_is_told_process_and_machine(system, tmp_path):
    with lock.locked(tmp_path):
        with pytest.raises(BlockingIOError) as error, lock.locked(tmp_path):
            pass
        assert f"store {tmp_path} is in use by process {os.getpid()} on" in str(error.value)
        assert lock.me() in str(error.value)
    with lock.locked(tmp_path):
        pass
    jo.fit(EXPERIMENT, 2, store=tmp_path / "fit")
    jo.fit(EXPERIMENT, 2, store=tmp_path / "fit")
    jo.sweep(SPACE, 2, steps=2, store=tmp_path / "sweep")


@pytest.mark.parametrize(
    ("holder", "held"),
    [
        ('{"process": 99999999, "host": HOST}', False),  # gone
        ('{"process": 1, "host": HOST}', True),
        ('{"process": 99999999, "host": "elsewhere"}', True),  # nobody here knows
        ("", True),  # just being made
    ],
)
def test_a_lock_file_is_taken_over_from_a_process_that_is_gone(holder, held, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    (tmp_path / ".lock.held").write_text(holder.replace("HOST", json.dumps(socket.gethostname())))
    if held:
        with pytest.raises(BlockingIOError, match=r"or delete .lock.held|delete .lock.held if"):
            jo.fit(EXPERIMENT, 2, store=tmp_path)
    else:
        jo.fit(EXPERIMENT, 2, store=tmp_path)
        assert not (tmp_path / ".lock.held").exists()


HOLD = """
import sys
if sys.argv[2] == "none": sys.modules["fcntl"] = None
from pathlib import Path
from jaxopt_edu.storage.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fcntl", "none"])
def test_a_lock_ends_with_its_process_however_it_ends(kind, tmp_path, monkeypatch):
    if kind == "none":
        monkeypatch.setitem(sys.modules, "fcntl", None)
    command = [sys.executable, "-c", HOLD, str(tmp_path), kind]
    environment = os.environ | children.TOLD
    for kill in (False, True):
        child = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert child.stdout.readline() == "held\n"
        with pytest.raises(BlockingIOError, match=f"process {child.pid} on"), lock.locked(tmp_path):
            pass
        child.kill() if kill else child.communicate("")
        child.wait()
        child.stdin.close(), child.stdout.close()
        with lock.locked(tmp_path):
            pass


class Windows:
    """What of its kernel a lock asks, in which there is one process with a code of exit."""

    def __init__(self, process, code=0, error=87):
        self.process, self.code, self.error, self.closed = process, code, error, []
        self.windll = self.kernel32 = self

    def OpenProcess(self, access, inherit, process):
        return 7 if process == self.process else 0

    def GetLastError(self):
        return self.error

    def GetExitCodeProcess(self, handle, code):
        code._obj.value = self.code

    def CloseHandle(self, handle):
        self.closed.append(handle)


@pytest.mark.parametrize(
    ("kernel", "lives", "closed"),
    [
        (Windows(42, code=259), True, [7]),  # still active
        (Windows(42, code=1), False, [7]),  # it has ended, and somebody keeps its handle
        (Windows(43, error=87), False, []),  # there is none
        (Windows(43, error=5), True, []),  # there is one, of somebody else
    ],
)
def test_on_windows_a_process_is_asked_for_without_a_signal(kernel, lives, closed, monkeypatch):
    import ctypes

    monkeypatch.setattr(ctypes, "windll", kernel, raising=False)
    monkeypatch.setattr(os, "kill", lambda process, signal: pytest.fail("it would end"))
    with monkeypatch.context() as one:
        one.setattr(os, "name", "nt")
        found = lock._process_lives(42)
    assert found == lives and kernel.closed == closed


def test_a_system_that_cannot_lock_is_named(monkeypatch, tmp_path):
    fcntl = pytest.importorskip("fcntl")

    def unsupported(file, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with pytest.raises(OSError, match=f"cannot lock {tmp_path}: No locks") as error:
        jo.fit(EXPERIMENT, 2, store=tmp_path)
    assert error.value.errno == errno.ENOLCK


def test_a_lock_file_that_another_takes_over_at_the_same_time_is_theirs(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    path, host = tmp_path / ".lock.held", json.dumps(socket.gethostname())
    path.write_text(f'{{"process": 99999999, "host": {host}}}')  # gone
    made = lock._made

    def later(path):
        if not path.exists():  # between our unlinking and our making it
            path.write_text(f'{{"process": 1, "host": {host}}}')
        return made(path)

    monkeypatch.setattr(lock, "_made", later)
    with pytest.raises(BlockingIOError, match="in use by process 1 on"), lock.locked(tmp_path):
        pass
    assert json.loads(path.read_text())["process"] == 1


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() == 0, reason="root may write everywhere")
def test_a_directory_that_takes_no_lock_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match="cannot write store"), lock.locked(tmp_path):
        pass


@pytest.mark.parametrize(
    ("error", "lives"), [(ProcessLookupError(), False), (PermissionError(), True), (None, True)]
)
def test_a_process_of_another_user_is_alive(error, lives, monkeypatch):
    def kill(process, signal):
        assert (process, signal) == (42, 0)  # asks only
        if error:
            raise error

    monkeypatch.setattr(os, "kill", kill)
    assert lock._process_lives(42) == lives


def test_a_lock_file_that_cannot_be_made_is_no_lock(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(OSError, match=f"cannot write store {tmp_path}: No space left") as error:
        lock._made(tmp_path / ".lock.held")
    assert error.value.errno == errno.ENOSPC
