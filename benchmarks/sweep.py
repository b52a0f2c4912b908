"""How fast are hundreds of small models trained, each with its own learning rate?

256 models, Adam, batch size 32, all on the same batches in the same order: an MLP 784-128-128-10
on MNIST-shaped synthetic data, and an MLP 64-32-10 on scikit-learn's digits. A model-step is one
step of one model. All arms sample the learning rate from log_uniform(1e-4, 1e-2) and do the same
steps of the same model with the same loss. Where one model follows another, so that more of them
only take longer, an arm trains the number of models shown, and its figures hold for a model-step.
"""

import math
from typing import Any

import jax
import numpy as np
from _common import Arm, Child, matmul_peak, measure, say, serve, slower
from _mlp import Torch, Work, digits, experiment, mnist_shaped, product_flops, train
from _report import arguments, publish, seconds

import jaxopt_edu as jo

LOW, HIGH = 1e-4, 1e-2
EVALUATIONS = 20  # of a training, where a learning curve is asked for
PROCESSES = 2
ARMS = ("ours", "ours-curve", "ours-sgd", "ours-one", "ours-fit", "vmap", "scan", "torch",
        "torch-fused", "torch-pair", "optuna")  # fmt: skip


def main() -> None:
    options = arguments(__doc__, ARMS)
    trials, works = workloads(options.quick)
    if options.serve:
        return serve(torch_share(works[options.serve], trials))
    say("measuring the peak of matrix products")
    peak, product = matmul_peak(options)
    tables: dict[str, list] = {}
    results: dict[str, Any] = {"peak_flops": peak, "peak": product, "workloads": []}
    notes = [f"The peak: {peak / 1e9:.1f} GFLOP/s, the best float32 square product ({product})."]
    for key, work in works.items():
        flops = product_flops(work)
        timed = measure(arms(key, work, trials, options), options)
        tables[f"{work.name}, {work.steps:,} steps"] = lines(timed, work, flops, peak)
        notes.append(f"{work.name}: {flops:,} FLOP a model-step in the jaxpr of ours.")
        rows = [arm.as_dict() for arm in timed]
        about = {"workload": work.name, "steps": work.steps, "product_flops_per_step": flops}
        results["workloads"].append(about | {"rows": rows})
    notes += [
        "GFLOP/s counts matrix products only: forward, and backward without the gradient of the "
        "first layer's input.",
        "ours scores 32 examples of each model at the end, ours-curve at "
        f"{EVALUATIONS} steps; the peers score nothing.",
        "compile: how much longer the first call took than the median (for eager arms: warm-up).",
        *(f"{arm.name}: {arm.what}." for arm in timed),
    ]
    publish(__doc__, options, tables, results, notes)


def workloads(quick: bool) -> tuple[int, dict[str, Work]]:
    """How many models, and what to train them on."""
    if quick:
        return 4, {"digits": digits(steps=20)}
    return 256, {"mnist": mnist_shaped(steps=200, examples=60_000), "digits": digits(steps=1000)}


def lines(timed: list[Arm], work: Work, flops: int, peak: float) -> list:
    than_ours = slower(timed, "ours")
    return [
        {
            "arm": arm.name,
            "models": f"{arm.units // work.steps}",
            "model-steps/s": f"{arm.rate:,.0f}",
            "quartiles": arm.rates,
            "GFLOP/s": f"{flops * arm.rate / 1e9:.1f}",
            "of the peak": f"{flops * arm.rate / peak:.1%}",
            "time / ours": than_ours[arm.name],
            "compile": seconds(arm.compiling),
        }
        for arm in timed
    ]


# ---------------------------------------------------------------------------------------- arms


def arms(key: str, work: Work, trials: int, options: Any) -> list[Arm]:
    some, few = max(2, trials // 4), few_of(work, trials)

    def arm(name, models, what, make, *needs):
        return Arm(name, what, make, needs, units=models * work.steps)

    return [
        arm("ours", trials, "jo.sweep", lambda: ours(work, trials)),
        arm("ours-curve", trials, f"jo.sweep with a learning curve of {EVALUATIONS} points",
            lambda: ours(work, trials, every=work.steps // EVALUATIONS)),
        arm("ours-sgd", trials, "jo.sweep with SGD: what is left without Adam's update",
            lambda: ours(work, trials, rule=jo.sgd)),
        arm("ours-one", some, "jo.sweep(tile=1), one model in a program",
            lambda: ours(work, some, tile=1)),
        arm("ours-fit", few, "jo.fit, one model after another", lambda: ours_fit(work, few)),
        arm("vmap", trials, "jax.jit(jax.vmap(train)), train a lax.scan with optax",
            lambda: vmap(work, trials), "optax"),
        arm("scan", some, "jax.jit(train), one model after another",
            lambda: scan(work, some), "optax"),
        arm("torch", few, "PyTorch, eager, one model after another",
            lambda: torch_loop(work, few, fused=False), "torch"),
        arm("torch-fused", few, "the same with fused Adam",
            lambda: torch_loop(work, few, fused=True), "torch"),
        arm("torch-pair", PROCESSES * few, f"torch-fused in {PROCESSES} processes side by side, "
            "each on its share of the cores", lambda: torch_processes(key, options), "torch"),
        arm("optuna", few, "a study of Optuna (random sampler) of torch-fused trainings",
            lambda: with_optuna(work, few), "optuna", "torch"),
    ]  # fmt: skip


def few_of(work: Work, trials: int) -> int:
    """How many models a slow arm trains one after another: about 1,000 steps in all."""
    return max(2, min(trials // 4, 1000 // work.steps))


def rates(count: int) -> np.ndarray:
    """The peers' learning rates: as many draws from log_uniform(LOW, HIGH)."""
    draws = np.random.default_rng(0).uniform(math.log(LOW), math.log(HIGH), count)
    return np.exp(draws).astype(np.float32)


def ours(work: Work, trials: int, every: int | None = None, rule: Any = jo.adam, **run: Any) -> Any:
    space = experiment(work, rule(jo.log_uniform(LOW, HIGH)))
    run |= {"trials": trials, "steps": work.steps, "eval_every": every or work.steps}
    return lambda: jo.sweep(space, **run, progress=False)


def ours_fit(work: Work, trials: int) -> Any:
    lean = experiment(work, jo.adam(1e-3))
    each = [jo.replace(lean, **{"optimizer.learning_rate": float(r)}) for r in rates(trials)]
    run = {"steps": work.steps, "eval_every": work.steps}
    return lambda: [jo.fit(e, **run, progress=False).state.loss for e in each]


def vmap(work: Work, trials: int) -> Any:
    def shared(rates, x, y, rows):
        return jax.vmap(lambda rate: train(rate, work.sizes, x, y, rows))(rates)

    program = jax.jit(shared)
    data = [jax.device_put(a) for a in (work.x, work.y, work.rows())]
    return lambda: program(rates(trials), *data)


def scan(work: Work, trials: int) -> Any:
    program = jax.jit(train, static_argnames="sizes")
    data = [jax.device_put(a) for a in (work.x, work.y, work.rows())]
    return lambda: [program(rate, work.sizes, *data) for rate in rates(trials)]


def torch_loop(work: Work, trials: int, fused: bool) -> Any:
    training = Torch(work, fused)
    return lambda: [training(float(rate)) for rate in rates(trials)]


def torch_processes(key: str, options: Any) -> Any:
    children = [Child(key, options) for _ in range(PROCESSES)]

    def run():
        for child in children:
            child.ask()
        return [child.answer() for child in children]

    return run


def torch_share(work: Work, trials: int) -> Any:
    """What each of the processes side by side does."""
    import torch

    torch.set_num_threads(max(1, torch.get_num_threads() // PROCESSES))
    run = torch_loop(work, few_of(work, trials), fused=True)
    return lambda: run()[-1]


def with_optuna(work: Work, trials: int) -> Any:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    training = Torch(work, fused=True)

    def objective(trial):
        return training(trial.suggest_float("learning_rate", LOW, HIGH, log=True))

    def run():
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        study.optimize(objective, n_trials=trials)
        return study.best_value

    return run


if __name__ == "__main__":
    main()
