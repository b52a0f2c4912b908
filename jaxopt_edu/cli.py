"""The command line: `jaxopt-edu sweep|fit|report|compare|race|list`."""

import argparse
import json
import sys
from typing import Any

from jaxopt_edu import commands
from jaxopt_edu.build import MODELS
from jaxopt_edu.sweep.samplers import SAMPLERS

PROGRAM = "jaxopt-edu"


def parser() -> argparse.ArgumentParser:
    """The whole command line, from which --help is made."""
    root = argparse.ArgumentParser(prog=PROGRAM, description="Optimizers as values, in batches.")
    commands_of = root.add_subparsers(dest="command", required=True, metavar="COMMAND")

    sweep = commands_of.add_parser("sweep", help="train many configurations at once")
    _training_arguments(sweep, optimizers="adam,sgd")
    sweep.add_argument("--trials", type=int, default=256, help="configurations (default 256)")
    sweep.add_argument(
        "--sampler",
        default="random",
        metavar="NAME",
        help=f"{', '.join(SAMPLERS)}, optuna:tpe, optuna:gp, optuna:cmaes",
    )
    rungs = sweep.add_mutually_exclusive_group()
    rungs.add_argument(
        "--halving", type=int, metavar="ETA", help="at each rung the best 1/ETA of the trials go on"
    )
    rungs.add_argument(
        "--hyperband",
        type=int,
        nargs="?",
        const=4,
        metavar="ETA",
        help="halving with several first rungs at once (ETA 4)",
    )
    rungs.add_argument(
        "--median-stopping",
        action="store_true",
        help="stop trials that are worse than the median of the others",
    )
    rungs.add_argument(
        "--population",
        action="store_true",
        help="the worst trials go on from the best ones' states, perturbed",
    )
    sweep.add_argument("--first", type=int, metavar="N", help="step of the first rung")
    sweep.add_argument("--folds", type=int, metavar="K", help="train every trial on K folds")
    sweep.add_argument("--seeds", type=int, default=1, metavar="K", help="... with K seeds")
    sweep.add_argument("--metric", default="loss", help="the score that ranks (default loss)")
    sweep.add_argument("--mode", default="min", choices=("min", "max"), help="of the metric")
    sweep.add_argument("--tile", type=int, help="lanes in one program (default: by shapes)")
    where = sweep.add_mutually_exclusive_group()
    where.add_argument("--out", help="directory of the results (default runs/DATA-N)")
    where.add_argument(
        "--store",
        metavar="DIR",
        help="the same, which may hold this sweep already: it is resumed or shown",
    )
    sweep.add_argument("--overwrite", action="store_true", help="replace what --out holds")
    sweep.set_defaults(run=commands.run_sweep)

    fit = commands_of.add_parser("fit", help="train one configuration")
    _training_arguments(fit, optimizers="adam")
    fit.add_argument("--tol", type=float, help="stop at this gradient norm")
    fit.add_argument("--patience", type=int, help="stop after N evaluations without a better one")
    fit.set_defaults(run=commands.run_fit)

    again = commands_of.add_parser("report", help="make the pages and pictures of a sweep again")
    again.add_argument("directory", metavar="DIR", help="where a sweep was written")
    again.add_argument("--json", action="store_true", help="one line of JSON instead of a table")
    again.set_defaults(run=commands.run_report)

    two = commands_of.add_parser("compare", help="two sweeps side by side")
    two.add_argument("first", metavar="DIR")
    two.add_argument("second", metavar="DIR")
    two.add_argument("--json", action="store_true", help="one line of JSON instead of a table")
    two.set_defaults(run=commands.run_compare)

    race = commands_of.add_parser("race", help="paths of several optimizers on a test function")
    race.add_argument("function", metavar="FUNCTION", help="`list functions` names them")
    race.add_argument("--optimizers", default="sgd,adam,rmsprop", metavar="A,B,C")
    race.add_argument("--steps", type=int, default=300)
    race.add_argument("--out", help="the picture (default runs/race-FUNCTION.png)")
    race.add_argument("--json", action="store_true", help="one line of JSON instead of a table")
    race.set_defaults(run=commands.run_race)

    names = commands_of.add_parser("list", help="what there is to choose from")
    names.add_argument("what", choices=sorted(commands.LISTS), metavar="|".join(commands.LISTS))
    names.set_defaults(run=commands.run_list)
    return root


def _training_arguments(command: argparse.ArgumentParser, optimizers: str) -> None:
    add = command.add_argument
    add("data", metavar="DATA", help="`list datasets` names them")
    add("--data-path", metavar="P", help="where mnist lies")
    add("--model", default="mlp", choices=tuple(MODELS), metavar="NAME", help=", ".join(MODELS))
    add("--hidden", default="64", metavar="N,M", help="hidden layers of mlp, cnn (default 64)")
    add("--depth", type=int, default=6, metavar="N", help="of the trees (default 6)")
    add("--optimizer", default=optimizers, metavar="A,B", help=f"(default {optimizers})")
    add("--steps", type=int, default=2000, help="training steps (default 2000)")
    add("--batch-size", type=int, default=32, metavar="B", help="0: all the data (default 32)")
    add(
        "--space",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="'learning_rate=log_uniform(1e-4,1e-1)', 'batch_size=choice(16,32)', 'b1=0.8'; "
        "may be given several times",
    )
    add("--seed", type=int, default=0, help="of split, samples, weights and order (default 0)")
    add("--eval-every", type=int, metavar="N", help="steps between evaluations")
    add("--json", action="store_true", help="one line of JSON instead of a table")


def main(arguments: list[str] | None = None) -> int:
    """Runs a command; 0 when done, 2 for bad input, 130 after Ctrl-C."""
    options: Any = parser().parse_args(arguments)
    try:
        answer, status = options.run(options)
    except (ValueError, TypeError, ImportError, OSError) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted", file=sys.stderr)
        return 130
    print(json.dumps(answer) if getattr(options, "json", False) else answer)
    return status
