"""`jaxopt-edu race`: optimizers on a test function, as a table and a picture or an animation."""

import argparse
from pathlib import Path
from typing import Any

from jaxopt_edu.analysis.races import race
from jaxopt_edu.cli.options import names_of
from jaxopt_edu.cli.study_summary import table
from jaxopt_edu.view import plot

PICTURES, ANIMATION = (".png", ".svg", ".pdf"), ".gif"


def race_arguments(command: argparse.ArgumentParser) -> None:
    """The options of `race`, but for those that other commands have too."""
    add = command.add_argument
    add("function", metavar="FUNCTION", help="`list functions` names them")
    add("--optimizers", default="sgd,adam,rmsprop", metavar="A,B,C")
    add("--steps", type=int, default=300)
    words = "of all, or as sgd=0.1,adam=0.01 of some; by default the best of 64"
    add("--rate", metavar="RATE", help=f"the learning rate: {words}")
    words = "the picture (default runs/race-FUNCTION.png); .gif is an animation"
    add("--out", help=words)


def run_race(options: Any) -> tuple[Any, int]:
    """Runs the race, writes its picture or animation, and gives its table."""
    path = Path(options.out or Path("runs") / f"race-{options.function}.png")
    _check_out(path)
    names, rate = names_of("optimizers", options.optimizers), rate_of(options.rate)
    result = race(options.function, names, options.steps, learning_rate=rate)
    moving = path.suffix == ANIMATION
    path.parent.mkdir(parents=True, exist_ok=True)
    picture: Any = plot.animate_race(result) if moving else plot.plot_race(result)
    plot.save(picture, path)
    if options.json:
        return result.as_dict() | {"picture": str(path)}, 0
    return f"{table(result.rows())}\n\npicture: {path}", 0


def rate_of(text: str | None) -> float | dict[str, float] | None:
    """'0.1' -> 0.1; 'sgd=0.1,adam=0.01' -> {'sgd': 0.1, 'adam': 0.01}

    Errors: ValueError for what is neither.
    """
    if text is None:
        return None
    try:
        if "=" not in text:
            return float(text)
        pairs = [part.split("=") for part in text.split(",") if part.strip()]
        rates = {name.strip(): float(rate) for name, rate in pairs}
        if len(rates) == len(pairs):
            return rates
    except ValueError:
        pass
    raise ValueError(f"--rate {text}: wanted a number, or one for each of different optimizers, "
                     "such as 0.1 or sgd=0.1,adam=0.01")  # fmt: skip


def _check_out(path: Path) -> None:
    """ValueError unless a picture or an animation can be written there."""
    endings = (*PICTURES, ANIMATION)
    if path.suffix not in endings:
        raise ValueError(f"--out {path}: wanted a name that ends with {', '.join(endings)}")
    if path.is_dir():
        raise ValueError(f"--out {path} is a directory: wanted a file")
