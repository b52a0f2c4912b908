"""What was run and how, in tables."""

import dataclasses
from typing import Any

from jaxopt_edu.search import Study
from jaxopt_edu.values.pytrees import show
from jaxopt_edu.view.plot.scores import rank_name, show_number
from jaxopt_edu.view.report.markup import facts, html


def what_was_run(study: Study) -> str:
    return f"<h2>What was run</h2>{facts(_parts(study))}"


def _parts(study: Study) -> dict[str, str]:
    """The parts of the experiment, with distributions where the study sampled.

    Where experiments were given instead of a space: the parts of the first of each structure.
    """
    given = isinstance(study.space, list | tuple) or not dataclasses.is_dataclass(study.space)
    experiments = [batch.template for batch in study.batches] if given else [study.space]
    if not all(map(dataclasses.is_dataclass, experiments)):
        return {"experiment": "; ".join(map(show, experiments))}
    parts: dict[str, dict[str, None]] = {}  # a dict for an ordered set
    for experiment in experiments:
        for f in dataclasses.fields(experiment):
            value = getattr(experiment, f.name)
            if value is not None and value is not False:
                parts.setdefault(f.name, {})[show(value)] = None
    sizes = getattr(getattr(getattr(experiments[0], "data", None), "source", None), "sizes", ())
    examples = {"examples": "train / validation / test: " + " / ".join(map(str, sizes))}
    return {name: "; ".join(shown) for name, shown in parts.items()} | (examples if sizes else {})


def confirmation(study: Study, confirmed: Study | None) -> str:
    """The winner of the trials that were trained again with fresh seeds, and all of them."""
    if confirmed is None or not confirmed.scored:
        return ""
    best, of = confirmed.best_trial, confirmed.columns["of"]
    seeds = len({seed for seed, _ in confirmed.repeats})
    scores = {n.replace("_", " ", 1): _bounds(confirmed, best, n) for n in confirmed.finals}
    each = {f"trial {of[i]}": _bounds(confirmed, i, confirmed.ranks) for i in confirmed.order}
    return (
        f"<h2>The winner: trial {of[best]}</h2>{facts(confirmed.hyperparameters())}"
        f"<h2>Its scores with {seeds} fresh seeds: means, 95% intervals</h2>{facts(scores)}"
        f"<h2>The {len(confirmed)} best, by {html(rank_name(study))} with fresh seeds</h2>"
        f"{facts(each)}"
    )


def _bounds(confirmed: Study, trial: int, name: str) -> str:
    """A mean and its interval."""
    mean, low, high = confirmed.interval(trial, name)
    return f"{show_number(mean)} [{show_number(low)}, {show_number(high)}]"


def how_it_ran(study: Study) -> str:
    """Seconds, compilations, devices and versions, behind a line with the first of them."""
    asked = {"ranked by": f"{rank_name(study)}, {study.mode}imum", "steps": study.steps,
             "seed": study.seed, "lanes in a tile": ", ".join(map(str, study.tiles))}  # fmt: skip
    told = {name.replace("_", " "): _flat(value) for name, value in study.info.items()}
    short = ", ".join(f"{n} {show_number(told[n])}" for n in ("seconds", "devices") if n in told)
    line = html(f"How it ran: seed {study.seed}, {short}")
    return f"<details><summary>{line}</summary>{facts(asked | told)}</details>"


def _flat(value: Any) -> Any:
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
