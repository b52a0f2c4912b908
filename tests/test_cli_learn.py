"""`jaxopt-edu learn`: where it builds, what it refuses, how it serves and ends."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from functools import partial

import pytest

from jaxopt_edu.cli import site
from jaxopt_edu.cli.program import main


@pytest.fixture
def unbuilt(monkeypatch):
    """Without Sphinx: a build writes one page."""

    def written(builder, docs, out, strict, *more):
        (out / "index.html").write_text(f"{builder} {strict}")
        return 0

    monkeypatch.setattr(site, "sphinx", written)
    monkeypatch.setattr(site, "chinese", lambda docs: [])
    monkeypatch.setattr(site, "NEEDED", ())


def failed(capsys, *words):
    assert main(["learn", *words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    return err


def test_a_wheel_has_no_site(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(site.jaxopt_edu, "__file__", str(tmp_path / "jaxopt_edu/__init__.py"))
    told = failed(capsys, "--build", str(tmp_path / "out"))
    assert "no sources of the site" in told and "a wheel has none" in told
    assert not (tmp_path / "out").exists()


def test_without_the_extra_it_says_what_to_install(capsys, monkeypatch, tmp_path):
    found = site.importlib.util.find_spec
    monkeypatch.setattr(site, "NEEDED", ("json", "furo"))
    monkeypatch.setattr(
        site.importlib.util, "find_spec", lambda name: None if name == "furo" else found(name)
    )
    told = failed(capsys, "--build", str(tmp_path / "out"))
    assert "learn needs furo: pip install -e '.[docs]'" in told


def test_a_directory_of_something_else_is_left_alone(capsys, unbuilt, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("mine")
    assert "holds something else than a site" in failed(capsys, "--build", str(mine))
    assert [p.name for p in mine.iterdir()] == ["thesis.txt"]
    assert "is a file" in failed(capsys, "--build", str(mine / "thesis.txt"))
    (tmp_path / "empty").mkdir()
    for again in range(2):  # an empty one, and then a site of ours
        assert main(["learn", "--build", str(tmp_path / "empty")]) == 0, again
        assert capsys.readouterr().out == f"site: {tmp_path / 'empty' / 'index.html'}\n"
    assert (tmp_path / "empty/index.html").read_text() == "html True"


def test_places_that_cannot_hold_a_site_are_named(capsys, unbuilt, tmp_path, monkeypatch):
    assert "--build '': wanted a directory" in failed(capsys, "--build", "")
    (tmp_path / "file").write_text("mine")
    below = str(tmp_path / "file" / "sub")
    told = failed(capsys, "--build", below)
    assert f"--build {below}: Not a directory; wanted a directory that can be" in told

    def refused(*words):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(site, "write_text", refused)  # root may write everywhere
    told = failed(capsys, "--build", str(tmp_path / "closed"))
    assert "/closed: Permission denied; wanted a directory that can be made and written" in told


def test_a_port_is_for_serving(capsys, unbuilt, tmp_path):
    told = failed(capsys, "--build", str(tmp_path / "out"), "--port", "8000")
    assert "--port 8000 with --build: nothing is served then" in told
    assert not (tmp_path / "out").exists()


def test_it_says_how_long_it_takes(capsys, unbuilt, tmp_path):
    assert main(["learn", "--build", str(tmp_path / "out")]) == 0
    assert "about 3 minutes at the first time on 2 cores" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["0", "-1", "65536"])
def test_ports_out_of_range_are_refused(port, capsys, unbuilt):
    assert f"--port {port}: wanted an integer from 1 to 65535" in failed(capsys, "--port", port)


def test_a_port_that_is_taken(capsys, unbuilt, monkeypatch):
    with socket.socket() as taken:
        taken.bind((site.HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"--port {port}: " in failed(capsys, "--port", str(port), "--no-browser")
        monkeypatch.setattr(site, "PORT", port)
        with site.listen(None) as server:
            assert server.server_address[0] == "127.0.0.1"
            assert server.server_address[1] not in (port, 0)


def test_it_serves_the_files_of_the_site_only(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site/index.html").write_text("here")
    (tmp_path / "secret.txt").write_text("no")
    with site.listen(None) as server:
        server.RequestHandlerClass = partial(site.Pages, directory=str(tmp_path / "site"))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://{site.HOST}:{server.server_address[1]}"
        with urllib.request.urlopen(f"{url}/") as answer:
            assert answer.read() == b"here" and answer.headers["Cache-Control"] == "no-cache"
        with pytest.raises(urllib.error.HTTPError) as told:
            urllib.request.urlopen(f"{url}/..%2fsecret.txt")
        told.value.close()
        assert told.value.code == 404
        server.shutdown()


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for a process of its own")
def test_ctrl_c_ends_it(tmp_path):
    script = (
        "import sys\n"
        "from jaxopt_edu.cli import main, site\n"
        "site.build, site.NEEDED = lambda docs, directory, links, strict: 0, ()\n"
        "sys.exit(main(['learn', '--no-browser']))\n"
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    words = [sys.executable, "-c", script]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, env=environment, **pipes) as process:
        line = process.stderr.readline()
        assert line.startswith("http://127.0.0.1:") and "Ctrl-C" in line
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "stopped\n", "")


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for a group of processes")
def test_ctrl_c_while_it_builds_is_one_line(tmp_path):
    """In a terminal the signal goes to Sphinx's process too, which says nothing then."""
    (tmp_path / "docs").mkdir()
    slow = (
        "import pathlib, time\npathlib.Path(__file__).with_name('began').touch()\ntime.sleep(60)\n"
    )
    (tmp_path / "docs/conf.py").write_text(slow)
    script = (
        "import pathlib, sys\n"
        "from jaxopt_edu.cli import main, site\n"
        f"site.sources, site.NEEDED = lambda: pathlib.Path({str(tmp_path / 'docs')!r}), ()\n"
        f"sys.exit(main(['learn', '--build', {str(tmp_path / 'out')!r}]))\n"
    )
    pytest.importorskip("sphinx", reason="the site needs the extra docs")
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    words = [sys.executable, "-c", script]
    with subprocess.Popen(words, env=environment, start_new_session=True, **pipes) as process:
        end = time.monotonic() + 60
        while not (tmp_path / "docs/began").exists() and time.monotonic() < end:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and out == ""
    first, second = err.splitlines()
    assert first.startswith("building the site") and second == "jaxopt-edu: interrupted"


def test_sphinx_that_fails_is_an_error(capsys, unbuilt, monkeypatch, tmp_path):
    monkeypatch.setattr(site, "sphinx", lambda *words: 1)
    assert main(["learn", "--build", str(tmp_path / "out")]) == 1
    assert "(with warnings)" in capsys.readouterr().out
