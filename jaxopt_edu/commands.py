"""What the commands do: from options to an experiment, from results to files and words."""

import sys
from pathlib import Path
from typing import Any

from jaxopt_edu import data, functions, losses, plot, report, schedules
from jaxopt_edu.build import MODELS, OPTIMIZERS, build, rungs_of, sampler_of
from jaxopt_edu.describe import write_text
from jaxopt_edu.fit import fit
from jaxopt_edu.names import hyperparameters, recipes
from jaxopt_edu.race import race
from jaxopt_edu.sweep import (
    Study,
    SweepInterrupted,
    load_study,
    save_study,
    sweep,
)
from jaxopt_edu.sweep.files import beside, check_directory, new_directory, take_place

LISTS = {
    "models": lambda: tuple(MODELS),
    "optimizers": lambda: tuple(OPTIMIZERS),
    "schedules": lambda: tuple(recipes(schedules)),
    "losses": lambda: tuple(recipes(losses)),
    "datasets": data.datasets,
    "functions": lambda: tuple(functions.FUNCTIONS),
}


def run_list(options: Any) -> tuple[str, int]:
    """The names there are, one a line."""
    return "\n".join(LISTS[options.what]()), 0


# ------------------------------------------------------------------------------------ the commands


def run_sweep(options: Any) -> tuple[Any, int]:
    """Runs the sweep, writes its files, and gives the leaderboard or the JSON line."""
    space = build(options, sampled=True)
    if options.out is not None:
        check_directory(options.out, options.overwrite)
    directory = Path(options.store or options.out or new_directory("runs", options.data))
    writing = beside(directory) if options.overwrite else directory
    status = 0
    try:
        study = sweep(
            space,
            options.trials,
            steps=options.steps,
            seed=options.seed,
            metric=options.metric,
            mode=options.mode,
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
    _write(study, writing, arguments)
    if writing != directory:
        take_place(writing, directory)
    if status:
        print(f"interrupted: --store {directory} goes on", file=sys.stderr)
    return summary(study, directory) if options.json else leaderboard(study, directory), status


def run_report(options: Any) -> tuple[Any, int]:
    """Makes the files of a stored sweep again."""
    directory = Path(options.directory)
    study = load_study(directory)
    _write(study, directory, None)
    return summary(study, directory) if options.json else leaderboard(study, directory), 0


def run_compare(options: Any) -> tuple[Any, int]:
    """Two stored sweeps side by side."""
    studies = {name: load_study(name) for name in (options.first, options.second)}
    told = {name: _told(study) for name, study in studies.items()}
    if options.json:
        return told, 0
    names = list(dict.fromkeys(key for of in told.values() for key in of))
    rows = [["", *studies]]
    rows += [[name, *(_cell(of.get(name)) for of in told.values())] for name in names]
    return table(rows), 0


def _told(study: Study) -> dict[str, Any]:
    """What a comparison says of a study."""
    best, info = study.best_trial, study.info
    return {
        "trials": len(study),
        "diverged": study.diverged,
        "steps": study.steps,
        "lane-steps": info["useful_lane_steps"],
        "seconds": info["seconds"],
        "best trial": best,
        **study.hyperparameters(),
        **study.scores(),
    }


def _write(study: Study, directory: Path, arguments: Any) -> None:
    save_study(study, directory, arguments=arguments)
    plot.save(plot.plot_curves(study), directory / "curves.png")
    plot.save(plot.plot_landscape(study), directory / "landscape.png")
    write_text(directory / "report.html", report.report_html(study))


def summary(study: Study, directory: Path) -> dict[str, Any]:
    """What --json prints."""
    info = study.info
    keys = ("trials", "diverged", "stopped", "executed_lane_steps", "useful_lane_steps", "seconds",
            "compile_seconds", "compilations", "model_steps_per_second", "devices")  # fmt: skip
    best = {
        "trial": study.best_trial,
        "hyperparameters": study.hyperparameters(),
        "scores": study.scores(),
    }
    return {key: info[key] for key in keys if key in info} | {
        "best": best,
        "directory": str(directory),
    }


def leaderboard(study: Study, directory: Path) -> str:
    """The ten best trials, the winner's test scores, and where the files are."""
    shown = [*study.swept, *(n for n in study.scores() if n.startswith(f"{study.split}_"))]
    rows = [["rank", "trial", *(name.rsplit(".", 1)[-1] for name in shown)]]
    for rank, trial in enumerate(study.order[:10].tolist(), 1):
        row = study.row(trial)
        rows.append([str(rank), str(trial), *(_cell(row[name]) for name in shown)])
    info, scores = study.info, study.scores()
    test = ", ".join(
        f"{name.removeprefix('test_')} {_cell(value)}"
        for name, value in scores.items()
        if name.startswith("test_")
    )
    seconds, compiling = info["seconds"], info["compile_seconds"]
    return "\n".join([
        table(rows),
        "",
        f"winner: trial {study.best_trial}; on the test part: {test or 'there is none'}",
        f"{info['trials']} trials, {info['diverged']} diverged, {info['stopped']} stopped, "
        f"{info['useful_lane_steps']:,} of {info['executed_lane_steps']:,} executed lane-steps "
        f"useful, {seconds:.1f} s of which "
        f"{compiling:.1f} s compiling, {info['model_steps_per_second']:,.0f} model-steps/s",
        f"files: {directory}/ trials.csv best.json study.json curves.png landscape.png report.html",
    ])  # fmt: skip


def run_fit(options: Any) -> tuple[Any, int]:
    """Trains one configuration and says how it went."""
    run = fit(
        build(options, sampled=False),
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
    if options.json:
        return answer, 0
    names = list(next(iter(run.scores.values())))
    rows = [["split", *names]]
    rows += [[split, *(_cell(s[name]) for name in names)] for split, s in run.scores.items()]
    why = f" ({run.reason})" if run.reason else ""
    return f"{table(rows)}\n\n{run.status} after {run.steps} steps{why}", 0


def run_race(options: Any) -> tuple[Any, int]:
    """Runs the race, writes its picture, and gives its table."""
    names = [name.strip() for name in options.optimizers.split(",") if name.strip()]
    result = race(options.function, names, steps=options.steps)
    path = Path(options.out or Path("runs") / f"race-{options.function}.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    plot.save(plot.plot_race(result), path)
    if options.json:
        return result.as_dict() | {"picture": str(path)}, 0
    return f"{table(result.rows())}\n\npicture: {path}", 0


def table(rows: list[list[str]]) -> str:
    """Rows of text in aligned columns, the first row underlined."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def _cell(value: Any) -> str:
    if value is None or value != value:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
