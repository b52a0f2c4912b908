"""What the benchmarks share: their options, the facts about the machine, tables and files."""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
from _common import on_cpu, say

HERE = Path(__file__).parent
PACKAGES = ("jaxopt_edu", "jax", "jaxlib", "numpy", "optax", "torch", "keras", "tensorflow",
            "tensorflow_cpu", "optuna")  # fmt: skip
IDLE = 0.05  # a machine whose cores were busy for more than this share was not idle
WATCHED = 2.0  # seconds over which that is measured

Table = list[dict[str, str]]


def arguments(doc: str, arms: tuple[str, ...], **lists: tuple[int, ...]) -> argparse.Namespace:
    """The options of a benchmark, with the facts about the machine as it starts.

    lists: options of this benchmark alone, each a list of integers, with what it is by default.
    """
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, a few seconds")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="where reports go")
    parser.add_argument("--arms", default=",".join(arms), help=f"some of {','.join(arms)}")
    parser.add_argument("--repeats", type=int, help="samples of each arm (5; quick 3)")
    parser.add_argument("--serve", default="", help=argparse.SUPPRESS)
    for name, default in lists.items():
        words = ",".join(map(str, default))
        parser.add_argument(f"--{name}", type=_integers, default=default, help=f"({words})")
    options = parser.parse_args()
    options.arms = options.arms.split(",")
    for name in options.arms:
        if name not in arms:
            parser.error(f"unknown arm {name!r}: there are {', '.join(arms)}")
    options.repeats = options.repeats or (3 if options.quick else 5)
    options.seconds = 0.01 if options.quick else 1.0
    options.skipped = {}
    options.machine = machine()
    return options


def _integers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(",")))


def machine() -> dict[str, Any]:
    """Date, hardware, load and versions."""
    return {
        "date": date.today().isoformat(),
        "commit": commit(),
        "cpu": _cpu_model(),
        "cores": _cores(),
        "products of float32": jax.config.jax_default_matmul_precision or "JAX's default",
        "devices": [f"{d.platform} ({d.device_kind})" for d in jax.local_devices()],
        "load average at start": round(os.getloadavg()[0], 2),
        "cores busy before start": _busy_share(),
        "python": platform.python_version(),
        "versions": {d.name: d.version for p in PACKAGES for d in metadata.distributions(name=p)},
    }


def _busy_share() -> float | None:
    """The share of the machine's time in which something ran, while this process sleeps."""
    if not Path("/proc/stat").exists():
        return None
    before = _ticks()
    time.sleep(WATCHED)
    total, idle = (b - a for a, b in zip(before, _ticks(), strict=True))
    return round(1 - idle / total, 3)


def _ticks() -> tuple[int, int]:
    """Clock ticks of all cores since the machine started: of every kind, and idle."""
    ticks = [int(n) for n in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(ticks), ticks[3] + ticks[4]


def commit(tree: Path = HERE) -> str:
    """Which commit a checkout is of."""
    if shutil.which("git") is None:
        return ""
    git = ["git", "-C", str(tree), "describe", "--always", "--dirty"]
    return subprocess.run(git, capture_output=True, text=True).stdout.strip()


def _cores() -> int | None:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


# ------------------------------------------------------------------------------------- tables


def seconds(x: float) -> str:
    """Seconds in a unit in which they read well."""
    unit, size = ("s", 1.0) if x >= 1 else ("ms", 1e-3) if x >= 1e-3 else ("us", 1e-6)
    return f"{x / size:.3g} {unit}"


def table(rows: Table) -> str:
    """A table that reads well as text and as Markdown: the first column left, the others right."""
    heads = list(rows[0])
    widths = [max(3, *(len(row[head]) for row in [*rows, {head: head}])) for head in heads]
    sides = "<" + ">" * (len(heads) - 1)
    rule = [
        f"{'-' * (w - 1)}{'-' if side == '<' else ':'}"
        for w, side in zip(widths, sides, strict=True)
    ]

    def line(cells):
        padded = (f"{c:{side}{w}}" for c, side, w in zip(cells, sides, widths, strict=True))
        return f"| {' | '.join(padded)} |"

    return "\n".join([line(heads), line(rule), *(line(row.values()) for row in rows)])


# -------------------------------------------------------------------------------------- report


def publish(
    doc: str,
    options: argparse.Namespace,
    tables: dict[str, Table],
    results: dict[str, Any],
    notes: list[str],
) -> None:
    """Prints the report and writes it as <date>-<script>.md, and all samples as .json.

    On an accelerator the name says which: <date>-<script>-<device>.md.
    """
    question, *explained = doc.strip().split("\n\n")
    about = options.machine
    if about["cores busy before start"] is None:
        notes = ["This system does not say whether the machine was idle.", *notes]
    elif about["cores busy before start"] > IDLE:
        notes = ["NOT from an idle machine: see how busy its cores were.", *notes]
    if options.quick:
        notes = ["A quick run: sizes so small that its figures mean nothing.", *notes]
    notes += [f"{arm}: {why}" for arm, why in options.skipped.items()]
    parts = [f"# {question}", *explained]
    parts += [f"## {title}\n\n{table(rows)}" for title, rows in tables.items() if rows]
    parts += ["## Notes", _bullets(notes), "## Machine", _bullets(map(_fact, about.items()))]
    text = "\n\n".join(parts) + "\n"
    record = {
        "question": question, "quick": options.quick, "machine": about, "results": results,
        "notes": notes, "skipped": options.skipped,
    }  # fmt: skip
    options.out.mkdir(parents=True, exist_ok=True)
    name = f"{about['date']}-{Path(sys.argv[0]).stem}{_accelerator()}{'-quick' * options.quick}"
    path = options.out / name
    path.with_suffix(".md").write_text(text)
    path.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
    print(text)
    say(f"written: {path}.md and .json")


def _accelerator() -> str:
    """What the name of a report says of the device, where it is not a CPU."""
    kind = jax.local_devices()[0].device_kind.lower()
    return "" if on_cpu() else f"-{re.sub('[^a-z0-9]+', '-', kind)}"


def _bullets(lines: Any) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _fact(fact: tuple[str, Any]) -> str:
    name, value = fact
    if isinstance(value, dict):
        value = ", ".join(f"{k} {v}" for k, v in value.items())
    return f"{name}: {', '.join(value) if isinstance(value, list) else value}"
