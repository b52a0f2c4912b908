"""What the commands do: from options to an experiment, from results to files and words."""

import sys
from pathlib import Path
from typing import Any

from jaxopt_edu import data, functions, losses, models, optimizers, plot, report, schedules
from jaxopt_edu.describe import write_text
from jaxopt_edu.experiment import Training
from jaxopt_edu.fit import fit
from jaxopt_edu.names import hyperparameters, parts, recipes, replace
from jaxopt_edu.parse import parse_setting
from jaxopt_edu.race import race
from jaxopt_edu.regularizers import L2
from jaxopt_edu.space import log_uniform, one_of, uniform
from jaxopt_edu.sweep import Study, SweepInterrupted, save_study, sweep
from jaxopt_edu.sweep.store import check_directory, new_directory
from jaxopt_edu.value import nearest

# where a learning rate is worth looking for; adam's range for all that are not here
RATES = {
    "sgd": (1e-3, 1.0),
    "adagrad": (1e-3, 1.0),
    "adadelta": (1e-1, 1e1),
    "lion": (1e-5, 1e-2),
    "sign_sgd": (1e-5, 1e-2),
    "signum": (1e-5, 1e-2),
}
ADAM_RATES = (1e-4, 1e-1)


OPTIMIZERS = recipes(optimizers)
LISTS = {
    "optimizers": lambda: tuple(OPTIMIZERS),
    "schedules": lambda: tuple(recipes(schedules)),
    "losses": lambda: tuple(recipes(losses)),
    "datasets": data.datasets,
    "functions": lambda: tuple(functions.FUNCTIONS),
}


def run_list(options: Any) -> tuple[str, int]:
    """The names there are, one a line."""
    return "\n".join(LISTS[options.what]()), 0


# ------------------------------------------------------------------------- from options to a space


def build(options: Any, sampled: bool) -> Training:
    """The experiment that the options describe: with distributions, or with numbers for fit."""
    names = [name.strip() for name in options.optimizer.split(",") if name.strip()]
    rules = [_optimizer(name, sampled) for name in names]
    loaded = data.load(options.data, seed=options.seed, path=options.data_path)
    experiment = Training(
        model=_model(options, loaded, sampled),
        loss=_loss(loaded),
        optimizer=rules[0],
        data=loaded,
        regularizer=L2(log_uniform(1e-6, 1e-2) if sampled else 1e-4),
        batch_size=options.batch_size or None,
    )
    for name, value in map(parse_setting, options.space):
        inner = name.removeprefix("optimizer.")
        has = [any(p == inner or p.endswith(f".{inner}") for p in parts(rule)) for rule in rules]
        if any(has):
            pairs = zip(rules, has, strict=True)
            rules = [replace(rule, **{inner: value}) if h else rule for rule, h in pairs]
        else:
            experiment = replace(experiment, **{name: value})
    if not sampled and len(rules) > 1:
        raise ValueError(f"--optimizer {options.optimizer}: fit runs one; `sweep` compares several")
    return replace(experiment, optimizer=rules[0] if len(rules) == 1 else one_of(*rules))


def _optimizer(name: str, sampled: bool) -> Any:
    if name not in OPTIMIZERS:
        raise ValueError(f"unknown optimizer {name!r}; {nearest(name, OPTIMIZERS)}")
    low, high = RATES.get(name, ADAM_RATES)
    return OPTIMIZERS[name](
        learning_rate=log_uniform(low, high) if sampled else (low * high) ** 0.5
    )


def _model(options: Any, loaded: Any, sampled: bool) -> Any:
    inputs, outputs = loaded.train.x.shape[1], loaded.n_classes or 1
    if options.model == "linear":
        return models.Linear(inputs, outputs)
    try:
        hidden = tuple(int(n) for n in options.hidden.split(",") if n.strip())
    except ValueError:
        raise ValueError(f"--hidden {options.hidden}: wanted sizes such as 64 or 64,32") from None
    return models.MLP((inputs, *hidden, outputs), dropout=uniform(0.0, 0.5) if sampled else None)


def _loss(loaded: Any) -> Any:
    if loaded.task == "regression":
        return losses.squared_error
    return losses.softmax_cross_entropy_with_integer_labels


# ------------------------------------------------------------------------------------ the commands


def run_sweep(options: Any) -> tuple[Any, int]:
    """Runs the sweep, writes its files, and gives the leaderboard or the JSON line."""
    space = build(options, sampled=True)
    if options.out is not None:
        check_directory(options.out, options.overwrite)
    status = 0
    try:
        study = sweep(
            space,
            options.trials,
            steps=options.steps,
            seed=options.seed,
            metric=options.metric,
            mode=options.mode,
            sampler=options.sampler,
            tile=options.tile,
            eval_every=options.eval_every,
            progress=True,
        )
    except SweepInterrupted as stop:
        study, status = stop.study, 130
    directory = Path(options.out) if options.out else new_directory("runs", options.data)
    _write(study, directory, options)
    if status:
        print(f"interrupted; what there is is in {directory}", file=sys.stderr)
    return summary(study, directory) if options.json else leaderboard(study, directory), status


def _write(study: Study, directory: Path, options: Any) -> None:
    arguments = {k: v for k, v in vars(options).items() if k != "run"}
    save_study(study, directory, arguments=arguments)
    plot.save(plot.plot_curves(study), directory / "curves.png")
    plot.save(plot.plot_landscape(study), directory / "landscape.png")
    write_text(directory / "report.html", report.report_html(study))


def summary(study: Study, directory: Path) -> dict[str, Any]:
    """What --json prints."""
    info = study.info
    keys = ("trials", "diverged", "seconds", "compile_seconds", "compilations",
            "model_steps_per_second", "devices")  # fmt: skip
    best = {
        "trial": study.best_trial,
        "hyperparameters": study.hyperparameters(),
        "scores": study.scores(),
    }
    return {key: info[key] for key in keys} | {"best": best, "directory": str(directory)}


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
        f"{info['trials']} trials, {info['diverged']} diverged, {seconds:.1f} s of which "
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
