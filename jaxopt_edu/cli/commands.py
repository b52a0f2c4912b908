"""What the commands do: from options to an experiment, from results to files and words."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from jaxopt_edu import data
from jaxopt_edu.analysis import functions
from jaxopt_edu.cli.confirming import confirmed_best
from jaxopt_edu.cli.directories import beside, check_directory, new_directory, take_place, undone
from jaxopt_edu.cli.predictions import check_out, keep
from jaxopt_edu.cli.presets import MODELS, build, rungs_of, sampler_of
from jaxopt_edu.cli.study_summary import cell, leaderboard, summary, table, told
from jaxopt_edu.engine.fitting import fit
from jaxopt_edu.optim import schedules
from jaxopt_edu.search import Study, SweepInterrupted, load_study, save_study, sweep
from jaxopt_edu.search.loading import load_confirmed
from jaxopt_edu.search.study import no_best
from jaxopt_edu.storage.files import write_text
from jaxopt_edu.train.ingredients import LOSSES, OPTIMIZERS
from jaxopt_edu.values.names import hyperparameters, recipes
from jaxopt_edu.values.pytrees import check_count
from jaxopt_edu.view import plot, report

LISTS = {
    "models": lambda: tuple(MODELS),
    "optimizers": lambda: tuple(OPTIMIZERS),
    "schedules": lambda: tuple(recipes(schedules)),
    "losses": lambda: tuple(LOSSES),  # those that a training takes by name
    "datasets": data.datasets,
    "functions": lambda: tuple(functions.FUNCTIONS),
}


def run_list(options: Any) -> tuple[Any, int]:
    """The names there are, one a line."""
    found = LISTS[options.what]()
    return list(found) if options.json else "\n".join(found), 0


# ------------------------------------------------------------------------------------ the commands


def run_sweep(options: Any) -> tuple[Any, int]:
    """Runs the sweep, writes its files, and gives the leaderboard or the JSON line."""
    space = build(options, sampled=True)
    if options.confirm:
        check_count("--confirm", options.confirm, least=2)
    named = ("--out", options.out) if options.out else ("--store", options.store)
    replaced = named[1] if options.out or options.overwrite else None
    if replaced is not None:
        check_directory(replaced, options.overwrite, named[0])
    directory = Path(options.store or options.out or new_directory("runs", options.data))
    writing = beside(directory) if options.overwrite else directory
    status, confirmed, note = 0, None, ""
    made = () if options.store or options.out and writing == directory else (writing,)
    try:
        with undone(*made):
            study = sweep(
                space,
                options.trials,
                steps=options.steps,
                seed=options.seed,
                metric=options.metric,
                mode=options.mode,
                rank_by=options.rank_by,
                rungs=rungs_of(options),
                folds=options.folds,
                seeds=options.seeds,
                sampler=sampler_of(options.sampler),
                store=writing,
                tile=options.tile,
                eval_every=options.eval_every,
                progress=True,
            )
    except SweepInterrupted as stop:
        study, status = stop.study, 130
    arguments = {k: v for k, v in vars(options).items() if k != "run"}
    with ThreadPoolExecutor(1) as beside_it:  # the pictures are drawn while the best are trained
        drawn = beside_it.submit(_draw, study, writing)
        if not status:
            try:
                confirmed, note = confirmed_best(study, options.confirm, writing)
            except KeyboardInterrupt:  # what the sweep found is kept
                note, status = "interrupted before the best were confirmed", 130
    _write(study, writing, arguments, confirmed)  # and not while matplotlib is imported there
    drawn.result()
    if writing != directory:
        take_place(writing, directory)
    if status:
        print(f"interrupted: --store {directory} goes on", file=sys.stderr)
    return _answer(options, study, directory, confirmed, note, status)


def _answer(
    options: Any, study: Study, directory: Path, confirmed: Study | None, note: str, status: int
) -> tuple[Any, int]:
    """What is printed, and the exit status: 1 where no trial has a score."""
    if not study.scored and not status:
        print(no_best(study), file=sys.stderr)
        status = 1
    if options.json:
        return summary(study, directory, confirmed), status
    return leaderboard(study, directory, confirmed, note), status


def run_report(options: Any) -> tuple[Any, int]:
    """Makes the files of a stored sweep again."""
    directory = Path(options.directory)
    study = load_study(directory)
    confirmed = load_confirmed(study, directory)
    _write(study, directory, None, confirmed)
    _draw(study, directory)
    return _answer(options, study, directory, confirmed, "", 0)


def run_compare(options: Any) -> tuple[Any, int]:
    """Two stored sweeps side by side."""
    studies = {name: load_study(name) for name in (options.first, options.second)}
    found = {name: told(study, load_confirmed(study, name)) for name, study in studies.items()}
    if options.json:
        return found, 0
    names = list(dict.fromkeys(key for of in found.values() for key in of))
    rows = [["", *studies]]
    rows += [[name, *(cell(of.get(name)) for of in found.values())] for name in names]
    return table(rows), 0


def _write(study: Study, directory: Path, arguments: Any, confirmed: Study | None = None) -> None:
    save_study(study, directory, arguments=arguments, confirmed=confirmed)
    write_text(directory / "report.html", report.report_html(study, confirmed))


def _draw(study: Study, directory: Path) -> None:
    plot.save(plot.plot_curves(study), directory / "curves.png")
    plot.save(plot.plot_landscape(study), directory / "landscape.png")


def run_fit(options: Any) -> tuple[Any, int]:
    """Trains one configuration and says how it went; --out keeps the trained model."""
    experiment = build(options, sampled=False)
    check_out(options)
    run = fit(
        experiment,
        options.steps,
        seed=options.seed,
        tol=options.tol,
        patience=options.patience,
        eval_every=options.eval_every,
        progress=True,
    )
    answer = {
        "status": run.status,
        "reason": run.reason,
        "steps": run.steps,
        "hyperparameters": hyperparameters(run.experiment),
        "scores": run.scores,
    }
    answer = keep(run, answer, options)
    status = int(run.status == "diverged")
    if options.json:
        return answer, status
    names = list(next(iter(run.scores.values())))
    rows = [["split", *names]]
    rows += [[split, *(cell(s[name]) for name in names)] for split, s in run.scores.items()]
    why = f" ({run.reason})" if run.reason else ""
    where = f"\nmodel: {answer['model']}" if "model" in answer else ""
    return f"{table(rows)}\n\n{run.status} after {run.steps} steps{why}{where}", status
