"""Collectives between the processes of a `jax.distributed` job."""

from typing import Any

import jax
import numpy as np


def processes() -> int:
    """How many processes the job has; 1 where there is none."""
    return jax.process_count()


def merge_owned(x: np.ndarray, owned: np.ndarray) -> np.ndarray:
    """An array whose entries come from the processes that own them.

    owned says which are this process's, along the leading axes of x. Shapes are the same in all
    processes; every entry has at most one owner, and one without keeps this process's value.
    """
    if processes() == 1:
        return x
    out = x.copy()
    for theirs, values in zip(all_gather(owned), all_gather(x), strict=True):
        out[theirs] = values[theirs]
    return out


def gather_rows(rows: np.ndarray, counts: list[int]) -> list[np.ndarray]:
    """The rows of bytes of every process; counts says how many each has."""
    if processes() == 1:
        return [rows]
    wide = np.zeros((max(counts), rows.shape[1]), np.uint8)
    wide[: len(rows)] = rows
    return [x[:n] for x, n in zip(all_gather(wide), counts, strict=True)]


def all_rows(rows: list[tuple]) -> list[tuple]:
    """The rows of numbers of every process, each row once."""
    if processes() == 1:
        return rows
    counts = all_gather(np.array(len(rows))).tolist()
    columns = int(all_gather(np.array(max(map(len, rows), default=0))).max())
    table = np.array(rows, float).reshape(len(rows), columns)
    found = gather_rows(table.view(np.uint8).reshape(len(rows), 8 * columns), counts)
    all_rows = np.concatenate(found).view(float).tolist()
    return list(dict.fromkeys(map(tuple, all_rows)))


def barrier(name: str) -> None:
    """Waits for all processes."""
    if processes() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)


def check_same(what: str, x: Any) -> None:
    """ValueError, in all processes, unless they all have the same number."""
    values = all_gather(np.asarray(x, np.int64)).tolist()
    if len(set(values)) > 1:
        raise ValueError(f"{what} differs between the processes of this job: {values}")


def all_gather(x: np.ndarray) -> np.ndarray:
    """x of every process, byte for byte: (processes, *x.shape)."""
    from jax.experimental import multihost_utils

    flat = np.frombuffer(x.tobytes(), np.uint8)
    if not flat.size or processes() == 1:
        return np.stack([x] * processes())
    found = np.asarray(multihost_utils.process_allgather(flat))
    return np.frombuffer(found.tobytes(), x.dtype).reshape(processes(), *x.shape)
