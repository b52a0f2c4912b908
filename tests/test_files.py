"""Laws of files: whole or not at all, on the disk, readable as the umask says; one writer."""

import errno
import os
import re
import stat
from pathlib import Path

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


def test_random_keys_of_every_kind_come_back_from_a_store(tmp_path):
    for kind in ("threefry2x32", "rbg"):
        keys = jax.random.split(jax.random.key(0, impl=kind), 2)
        for like in (keys, jax.eval_shape(jax.random.clone, keys)):
            again = disk.as_before(jnp.asarray(np.asarray(disk.plain(keys))), like)
            assert again.dtype == keys.dtype and bool(jnp.all(again == keys))


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
