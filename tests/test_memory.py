"""Where memory does not suffice: tiles are halved, a store begins anew; other errors are seen."""

import os

import jax
import numpy as np
import pytest
from test_rungs import BASE, columns

import jaxopt_edu as jo
from jaxopt_edu.engine import widths


def test_tiles_that_would_not_fit_are_halved(monkeypatch, capfd):
    from jaxopt_edu.search import driver

    with monkeypatch.context() as one:
        one.setattr(widths, "worker_devices", lambda: jax.local_devices() * 2)
        assert jo.sweep(BASE, 8, steps=8).tiles == (4,)
        one.setattr(driver, "program_memory", lambda: 0)
        assert jo.sweep(BASE, 8, steps=8).tiles == (1,)
    monkeypatch.setattr(widths, "worker_devices", lambda: jax.local_devices() * 2)

    def exhausted(tiles, settings, until, feed):
        for tile in run_tiles(tiles, settings, until, feed=feed):
            if tile.width > 2:
                raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")
            yield tile

    run_tiles = driver.run_tiles
    monkeypatch.setattr(driver, "run_tiles", exhausted)
    narrow = jo.sweep(BASE, 8, steps=8)
    assert narrow.tiles == (2,)
    assert "out of memory with 4 lanes in a tile: now 2" in capfd.readouterr().err
    monkeypatch.undo()
    assert columns(narrow) == columns(jo.sweep(BASE, 8, steps=8, tile=2))


def failing(monkeypatch, message, most=2):
    """Tiles of more lanes than that fail after their first segment."""
    from jaxopt_edu.search import driver

    def run(tiles, settings, until, feed):
        for tile in run_tiles(tiles, settings, until, feed=feed):
            yield tile
            if tile.width > most:
                raise jax.errors.JaxRuntimeError(message)

    run_tiles = driver.run_tiles
    monkeypatch.setattr(driver, "run_tiles", run)
    monkeypatch.setattr(widths, "worker_devices", lambda: jax.local_devices() * 2)


def test_a_store_begins_anew_where_memory_did_not_suffice(monkeypatch, tmp_path, capfd):
    from jaxopt_edu.search.store import Store

    given = {"steps": 8, "eval_every": 2}
    cleared, clear = [], Store.clear

    def clear_and_look(store):
        before = sorted(path.name for path in store.lanes.iterdir())
        clear(store)
        cleared.append((before, sorted(p.name for p in store.directory.rglob("*.*"))))

    monkeypatch.setattr(Store, "clear", clear_and_look)
    monkeypatch.setattr("jaxopt_edu.search.store.LANES_EVERY", 0.0)
    failing(monkeypatch, "RESOURCE_EXHAUSTED: Out of memory")
    narrow = jo.sweep(BASE, 8, store=tmp_path, **given)
    assert "out of memory with 4 lanes in a tile: now 2" in capfd.readouterr().err
    [(before, after)] = cleared
    assert len(before) == 1 and before[0].endswith(".npz") and after == [".lock", "sweep.json"]
    monkeypatch.undo()
    assert narrow.tiles == (2,)
    assert columns(narrow) == columns(jo.sweep(BASE, 8, tile=2, **given))
    assert columns(jo.load_study(tmp_path)) == columns(narrow)


@pytest.mark.parametrize(
    ("message", "most"), [("INTERNAL: it broke", 2), ("RESOURCE_EXHAUSTED: one is too much", 0)]
)
def test_other_errors_of_a_device_and_tiles_of_one_lane_are_errors(message, most, monkeypatch):
    failing(monkeypatch, message, most)
    with pytest.raises(jax.errors.JaxRuntimeError, match=message):
        jo.sweep(BASE, 8, steps=8)


class Device:
    """A device that tells its memory, or does not."""

    def __init__(self, platform, stats):
        self.platform, self.memory_stats = platform, lambda: stats


def test_the_memory_of_a_program_is_a_share_of_what_is_known(monkeypatch):
    def of(*devices):
        monkeypatch.setattr(widths, "worker_devices", lambda: list(devices))
        return widths.program_memory()

    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    gpu = Device("gpu", {"bytes_limit": 1000, "bytes_in_use": 5})
    assert of(gpu) == of(gpu, gpu) == pytest.approx(800)  # each has its own
    silent = Device("gpu", None), Device("gpu", {}), Device("cpu", {"bytes_limit": 7})
    for device in silent:
        assert of(device) == pytest.approx(0.8 * machine)
    assert of(*silent[2:] * 4) == pytest.approx(0.2 * machine)  # the workers of a CPU share it
    monkeypatch.delattr(widths.os, "sysconf_names")
    assert of(silent[0]) == np.inf and of(gpu) == pytest.approx(800)
