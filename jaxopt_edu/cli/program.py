"""The command line: `jaxopt-edu sweep|fit|predict|report|compare|race|list|learn`."""

import argparse
import os
import sys
from typing import Any, NoReturn

import jax

from jaxopt_edu.cli import commands, predictions, racing, site
from jaxopt_edu.cli.cache import kept_programs
from jaxopt_edu.cli.options import check_options, line_of_json
from jaxopt_edu.cli.presets import MODELS
from jaxopt_edu.search.samplers import SAMPLERS

PROGRAM = "jaxopt-edu"


class Parser(argparse.ArgumentParser):
    """One whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{PROGRAM}: {message} (see {self.prog} --help)\n")


def parser() -> argparse.ArgumentParser:
    """The whole command line, from which --help is made."""
    root = Parser(prog=PROGRAM, description="Optimizers as values, in batches.")
    commands_of = root.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, words: str, run: Any) -> argparse.ArgumentParser:
        made = commands_of.add_parser(name, help=words)
        made.set_defaults(run=run)
        return made

    _sweep_arguments(command("sweep", "train many configurations at once", commands.run_sweep))

    fit = command("fit", "train one configuration", commands.run_fit)
    _training_arguments(fit, optimizers="adam")
    fit.add_argument("--tol", type=float, help="stop at this gradient norm")
    fit.add_argument("--patience", type=int, help="stop after N evaluations without a better one")
    fit.add_argument("--out", metavar="DIR", help="directory of the trained model, model.jo")
    fit.add_argument("--overwrite", action="store_true", help="replace what --out holds")

    answer = command("predict", "answers of a trained model", predictions.run_predict)
    predictions.predict_arguments(answer)
    _json_argument(answer)

    again = command("report", "make the pages and pictures of a sweep again", commands.run_report)
    again.add_argument("directory", metavar="DIR", help="where a sweep was written")
    _json_argument(again)

    two = command("compare", "two sweeps side by side", commands.run_compare)
    two.add_argument("first", metavar="DIR")
    two.add_argument("second", metavar="DIR")
    _json_argument(two)

    race = command("race", "paths of several optimizers on a test function", racing.run_race)
    racing.race_arguments(race)
    _cache_argument(race)
    _json_argument(race)

    names = command("list", "what there is to choose from", commands.run_list)
    names.add_argument("what", choices=sorted(commands.LISTS), metavar="|".join(commands.LISTS))
    _json_argument(names)

    site.learn_arguments(command("learn", "the site: chapters, guides, reference", site.run_learn))
    return root


def _sweep_arguments(sweep: argparse.ArgumentParser) -> None:
    _training_arguments(sweep, optimizers="adam,sgd")
    add = sweep.add_argument
    samplers = f"{', '.join(SAMPLERS)}, optuna:tpe, optuna:gp, optuna:cmaes"
    add("--trials", type=int, default=256, help="configurations (default 256)")
    add("--sampler", default="random", metavar="NAME", help=samplers)
    _rungs_arguments(sweep)
    add("--first", type=int, metavar="N", help="step of the first rung")
    add("--folds", type=int, metavar="K", help="train every trial on K folds")
    add("--seeds", type=int, default=1, metavar="K", help="... with K seeds")
    add("--metric", default="loss", help="the score that ranks (default loss)")
    words = "whether less or more of it is better (default: less of losses and errors, else more)"
    add("--mode", default="auto", choices=("auto", "min", "max"), help=words)
    words = "what of a curve ranks: the last score, the mean of the last fifth, the best"
    add("--rank-by", default="tail", choices=("last", "tail", "best"), help=f"{words} (tail)")
    words = "train the N best again with fresh seeds, as many as an eighth of the work allows"
    add("--confirm", type=int, default=8, metavar="N", help=f"{words} (default 8; 0: none)")
    add("--tile", type=int, help="lanes in one program (default: by shapes)")
    where = sweep.add_mutually_exclusive_group()
    where.add_argument("--out", help="directory of the results (default runs/DATA-N)")
    where.add_argument(
        "--store",
        metavar="DIR",
        help="the same, which may hold this sweep already: it is resumed or shown",
    )
    add("--overwrite", action="store_true", help="replace what --out holds")


def _rungs_arguments(sweep: argparse.ArgumentParser) -> None:
    add = sweep.add_mutually_exclusive_group().add_argument
    words = "at each rung the best 1/ETA of the trials go on"
    add("--halving", type=int, metavar="ETA", help=words)
    words = "halving with several first rungs at once (ETA 4)"
    add("--hyperband", type=int, nargs="?", const=4, metavar="ETA", help=words)
    words = "stop trials that are worse than the median of the others"
    add("--median-stopping", action="store_true", help=words)
    words = "the worst trials go on from the best ones' states, perturbed"
    add("--population", action="store_true", help=words)


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
    _cache_argument(command)
    _json_argument(command)


def _cache_argument(command: argparse.ArgumentParser) -> None:
    words = "compile anew, and keep no compiled programs in the user's cache directory"
    command.add_argument("--no-cache", action="store_true", help=words)


def _json_argument(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="one line of JSON, not a table")


def main(arguments: list[str] | None = None) -> int:
    """Runs a command; 0 when done, 1 if all diverged, 2 for bad input, 130 after Ctrl-C."""
    options: Any = parser().parse_args(arguments)
    try:
        check_options(options)
        with kept_programs(not getattr(options, "no_cache", False)):
            answer, status = options.run(options)
    except BrokenPipeError:
        return _unread(0)
    except (ValueError, TypeError, ImportError, OSError, MemoryError) as error:
        return _said(error)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return _said(error)
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted", file=sys.stderr)
        return 130
    try:
        print(line_of_json(answer) if options.json else answer, flush=True)
    except BrokenPipeError:
        return _unread(status)
    return status


def _unread(status: int) -> int:
    """The status, where nobody reads on (`| head`): what is left in the buffer goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status


def _said(error: BaseException) -> int:
    """One line on the error stream; the exit code of bad input."""
    print(f"{PROGRAM}: {' '.join(str(error).split()) or type(error).__name__}", file=sys.stderr)
    return 2
