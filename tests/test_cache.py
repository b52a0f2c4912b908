"""Compiled programs on disk: private, named by what they were made for, and never an error."""

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from children import ROOT
from jax.experimental.compilation_cache import compilation_cache

from jaxopt_edu.cli import cache
from jaxopt_edu.cli.cache import kept_programs, private_directory
from jaxopt_edu.storage import private_places

HITS = "/jax/compilation_cache/cache_hits"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A user's cache of its own, JAX's being neither chosen nor refused."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(cache, "SHORTEST", 0)
    before = jax.config.jax_compilation_cache_dir, jax.config.jax_enable_compilation_cache
    jax.config.update("jax_compilation_cache_dir", None)
    jax.config.update("jax_enable_compilation_cache", True)
    yield tmp_path / "home"
    jax.config.update("jax_compilation_cache_dir", before[0])
    jax.config.update("jax_enable_compilation_cache", before[1])
    compilation_cache.reset_cache()


@pytest.fixture
def hits(monkeypatch):
    found = []

    def hear(event, **_):
        if event == HITS:
            found.append(event)

    jax.monitoring.register_event_listener(hear)
    return found


def compiled(wanted=True):
    """A program's result, compiled within the cache."""
    with kept_programs(wanted) as where:
        fresh = jax.jit(lambda x: jnp.sort(jnp.sin(x) @ x.T, axis=0))
        return where, fresh(jnp.arange(12.0).reshape(3, 4)).tolist()


def test_programs_are_kept_in_a_private_directory_and_found_again(home, hits):
    where, first = compiled()
    assert where == private_directory() and where.parent == home / "jaxopt_edu"
    assert jax.__version__ in where.name
    for path in (where, where.parent):
        assert path.stat().st_mode & 0o777 == 0o700
    assert list(where.iterdir()) and not hits
    assert compiled()[1] == first and hits
    assert compiled(wanted=False) == (None, first)
    assert jax.config.jax_compilation_cache_dir is None  # as it was


@pytest.mark.parametrize("damage", ["empty", "half", "zeros", "flipped", "text", "foreign"])
def test_a_damaged_program_is_compiled_anew(damage, home, hits):
    where, first = compiled()
    for path in where.glob("*-cache"):
        whole = path.read_bytes()
        middle = len(whole) // 2
        path.write_bytes({
            "empty": b"", "half": whole[:middle], "zeros": bytes(len(whole)),
            "flipped": whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :],
            "text": b"no program", "foreign": whole[::-1],
        }[damage])  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert compiled()[1] == first
    assert not hits


def test_who_chose_for_himself_is_left_alone(home, tmp_path):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "mine"))
    assert compiled()[0] is None
    jax.config.update("jax_compilation_cache_dir", None)
    jax.config.update("jax_enable_compilation_cache", False)
    assert compiled()[0] is None and not home.exists()


def test_a_directory_that_others_may_write_is_not_used(home, monkeypatch):
    where = private_directory()
    for path in (where, where.parent):
        for mode in (0o770, 0o707, 0o720):
            path.chmod(mode)
            assert private_directory() is None
        path.chmod(0o700)
        assert private_directory() == where
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert private_directory() is None
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    where.rmdir()
    (home / "other").mkdir(mode=0o700)
    where.symlink_to(home / "other")
    assert private_directory() is None


def test_without_a_place_there_is_none(home, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert private_directory() is None and compiled()[0] is None
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "file" / "none"))
    assert private_directory() is None
    monkeypatch.setattr(Path, "home", lambda: exec("raise RuntimeError('no home')"))
    assert private_directory() is None
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    assert private_directory() is not None
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # read-only
    assert private_directory() is None


def test_another_processor_has_another_directory(home, monkeypatch):
    here = private_directory()
    real = Path.read_text

    def read(path, *rest):
        text = real(path, *rest)
        return text.replace("avx", "").replace("fp", "") if "cpuinfo" in str(path) else text

    monkeypatch.setattr(Path, "read_text", read)
    monkeypatch.setattr(cache.platform, "processor", lambda: "another")
    assert private_directory() != here


@pytest.mark.slow
def test_the_command_line_keeps_programs_and_its_results(tmp_path):
    told = {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path / "home")}
    free = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")} | told
    few = ["--trials", "4", "--steps", "40", "--hidden", "8", "--tile", "4", "--seeds", "2"]

    def sweep(name, *more):
        command = [sys.executable, "-m", "jaxopt_edu", "sweep", "wine", *few, "--out", name, *more]
        done = subprocess.run(
            command, cwd=tmp_path, env=free | {"JAX_PLATFORMS": "cpu"}, text=True,
            capture_output=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert not re.search("warning|error|traceback|aot", done.stderr, re.IGNORECASE), done.stderr
        return (tmp_path / name / "trials.csv").read_bytes()

    without = sweep("a", "--no-cache")
    assert not (tmp_path / "home" / "jaxopt_edu").exists()
    assert sweep("b") == without
    programs = sorted((tmp_path / "home").rglob("*-cache"))
    assert programs
    assert sweep("c") == without
    for path in programs:
        path.write_bytes(path.read_bytes()[:100])
    assert sweep("d") == without


@pytest.mark.parametrize(
    ("platform", "told", "wanted"),
    [
        ("win32", {"LOCALAPPDATA": "/local"}, "/local"),
        ("win32", {"LOCALAPPDATA": ""}, "/me/.cache"),
        ("darwin", {"XDG_CACHE_HOME": "/given"}, "/me/Library/Caches"),
        ("linux", {"XDG_CACHE_HOME": "/given", "LOCALAPPDATA": "/local"}, "/given"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "/me/.cache"),
    ],
)
def test_caches_are_where_the_platform_has_them(platform, told, wanted, monkeypatch):
    for name, value in ({"HOME": "/me", "XDG_CACHE_HOME": ""} | told).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert private_places.user_cache() == Path(wanted)


def test_where_users_have_no_numbers_a_directory_is_private(tmp_path, monkeypatch):
    tmp_path.chmod(0o777)
    assert not private_places.is_private(tmp_path)
    monkeypatch.delattr(os, "getuid")
    assert private_places.is_private(tmp_path)
    (tmp_path / "file").write_text("")
    assert not private_places.is_private(tmp_path / "file")
