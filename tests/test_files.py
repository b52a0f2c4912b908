"""Laws of files: whole or not at all, on the disk, readable as the umask says; one writer."""

import errno
import json
import os
import re
import socket
import stat
import subprocess
import sys
from pathlib import Path

import children
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.privacy import encryption
from jaxopt_edu.storage import disk, files, lock

EXPERIMENT = jo.Training(
    jo.models.Linear(1), jo.losses.squared_error, jo.sgd(0.1), jo.data.load("linear")
)
SPACE = jo.Training(
    jo.models.Linear(1),
    jo.losses.squared_error,
    jo.sgd(jo.uniform(0.1, 0.2)),
    jo.data.load("linear"),
)
WRITERS = {
    "text": lambda path: files.write_text(path, "x"),
    "bytes": lambda path: files.write_bytes(path, b"x"),
    "json": lambda path: files.write_json(path, {"x": float("nan")}),
    "arrays": lambda path: files.write_arrays(path, {"x": np.ones(2)}),
    "picture": lambda path: jo.plot.save(jo.plot.plot_race(RACE), path.with_suffix(".png")),
    "encrypted": lambda path: encryption.save_params(path, {"x": np.ones(2)}, "password", work=10),
}
RACE = jo.race("booth", ["sgd"], steps=40)


@pytest.fixture
def umask():
    old = os.umask(0o022)
    yield os.umask
    os.umask(old)


def modes(directory):
    return {p.name: stat.S_IMODE(p.stat().st_mode) for p in directory.rglob("*") if p.is_file()}


@pytest.mark.parametrize("mask", [0o022, 0o002, 0o077])
@pytest.mark.parametrize("kind", WRITERS)
def test_a_file_is_on_the_disk_before_it_has_its_name(kind, mask, umask, tmp_path, monkeypatch):
    umask(mask)
    told = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(
        os, "fsync", lambda n: (told.append(stat.S_IFMT(os.fstat(n).st_mode)), fsync(n))
    )
    monkeypatch.setattr(os, "replace", lambda a, b: (told.append("renamed"), replace(a, b)))
    WRITERS[kind](tmp_path / "file")
    assert told == [stat.S_IFREG, "renamed", stat.S_IFDIR]
    assert list(modes(tmp_path).values()) == [0o666 & ~mask]


def test_one_place_renames_files():
    package = Path(jo.__file__).parent
    words = r"os\.replace|mkstemp|NamedTemporary|os\.chmod|savefig\((?!file)|np\.savez?\((?!file)"
    others = [p.name for p in package.rglob("*.py") if re.search(words, p.read_text())]
    assert others == ["files.py"]


def test_all_files_of_a_store_are_alike(umask, tmp_path):
    umask(0o002)
    study = jo.sweep(SPACE, 2, steps=2, store=tmp_path / "sweep")
    jo.save_study(study, tmp_path / "sweep")
    jo.fit(EXPERIMENT, 2, store=tmp_path / "fit")
    assert set(modes(tmp_path).values()) == {0o664}
    assert len(modes(tmp_path)) == 8


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_disk_that_takes_nothing_is_said_and_keeps_what_was_there(
    kind, number, tmp_path, monkeypatch
):
    path = tmp_path / ("file.png" if kind == "picture" else "file")
    path.write_text("old")

    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync" if number != errno.EROFS else "open", fail)
    with pytest.raises(
        OSError, match=f"cannot write .*{path.name}: {os.strerror(number)}"
    ) as error:
        WRITERS[kind](path)
    monkeypatch.undo()
    assert error.value.errno == number and path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_what_a_killed_process_left_is_cleared(tmp_path):
    jo.fit(EXPERIMENT, 2, store=tmp_path)
    lanes = tmp_path / "lanes"
    (lanes / f".00000-00000.npz.1-1{files.PART}").write_bytes(b"half")
    jo.fit(EXPERIMENT, 2, store=tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".lock", "fit.json", "lanes"]
    assert [p.name for p in lanes.iterdir()] == ["00000-00000.npz"]


def test_a_store_that_cannot_be_written_is_an_error_that_names_it(tmp_path, monkeypatch):
    jo.fit(EXPERIMENT, 2, store=tmp_path / "fit")

    def closed(path, *more, **others):
        if str(path).endswith(".lock"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, *more, **others)

    real = os.open
    monkeypatch.setattr(lock.os, "open", closed)
    with pytest.raises(PermissionError, match="cannot write store .*fit: Permission denied; load_"):
        jo.fit(EXPERIMENT, 2, store=tmp_path / "fit")
    monkeypatch.undo()
    (tmp_path / "file").write_text("x")
    for name, error in (("file", "is a file: wanted a directory"), ("file/in", "lies in a file")):
        with pytest.raises(ValueError, match=error):
            jo.fit(EXPERIMENT, 2, store=tmp_path / name)


# ------------------------------------------------------------------------------------- locks


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


def test_random_keys_of_every_kind_come_back_from_a_store(tmp_path):
    for kind in ("threefry2x32", "rbg"):
        keys = jax.random.split(jax.random.key(0, impl=kind), 2)
        for like in (keys, jax.eval_shape(jax.random.clone, keys)):
            again = disk.as_before(jnp.asarray(np.asarray(disk.plain(keys))), like)
            assert again.dtype == keys.dtype and bool(jnp.all(again == keys))


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
    ("error", "kind", "told"),
    [
        (FileExistsError(errno.EEXIST, "File exists"), ValueError, "store .*new is a file: wanted"),
        (NotADirectoryError(errno.ENOTDIR, "Not"), ValueError, "new lies in a file: wanted a dir"),
        (OSError(errno.ENOSPC, "No space left"), OSError, "cannot make store .*new: No space left"),
        (PermissionError(errno.EACCES, "Denied"), PermissionError, "cannot make store .*: Denied"),
    ],
)
def test_a_store_that_cannot_be_made_says_why(error, kind, told, tmp_path, monkeypatch):
    def mkdir(path, *args, **more):
        raise error

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with pytest.raises(kind, match=told) as found:
        jo.fit(EXPERIMENT, 2, store=tmp_path / "new")
    assert kind is ValueError or found.value.errno == error.errno


def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    jo.fit(EXPERIMENT, 2, store=tmp_path)

    def read(path, *args, **more):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_text", read)
    with pytest.raises(PermissionError, match="Permission denied: .*fit.json"):
        jo.fit(EXPERIMENT, 2, store=tmp_path)


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
