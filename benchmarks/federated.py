"""How fast is a round of federated averaging, against a loop over the clients?

200 clients share scikit-learn's digits unequally (Dirichlet, alpha 0.5). In a round each of them
trains an MLP 64-32-10 for two epochs of SGD in batches of 10, and the server takes the mean of
their updates, weighted by examples. Every arm does the same work; only the order of the examples
differs.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _common import Arm, measure, slower, to_torch
from _mlp import Torch, digits
from _report import arguments, publish, seconds

import jaxopt_edu as jo

RATE, EPOCHS, BATCH = 0.1, 2, 10
ARMS = ("ours", "ours-10", "loop", "torch")


def main() -> None:
    options = arguments(__doc__, ARMS)
    clients, rounds = (20, 2) if options.quick else (200, 20)
    experiment = averaging(clients)
    timed = measure(arms(experiment, rounds), options)
    than_ours = slower(timed, "ours")
    lines = [
        {
            "arm": arm.name,
            "client-rounds/s": f"{arm.rate:,.0f}",
            "quartiles": arm.rates,
            "one round": seconds(clients / arm.rate),
            "time / ours": than_ours[arm.name],
            "compile": seconds(arm.compiling),
        }
        for arm in timed
    ]
    sizes = experiment.estimator.clients.sizes
    notes = [
        f"{rounds} rounds a call; {clients} clients with {sizes.min()} to {sizes.max()} examples.",
        f"ours also evaluates {experiment.data.validation.size} validation examples after each of "
        "20 rounds.",
        "compile: how much longer the first call took than the median (for torch: warm-up).",
        *(f"{arm.name}: {arm.what}; last loss {float(arm.last):.3f}." for arm in timed),
    ]
    results = {"clients": clients, "rounds": rounds, "rows": [arm.as_dict() for arm in timed]}
    publish(__doc__, options, {f"{clients} clients, digits": lines}, results, notes)


def averaging(clients: int) -> jo.Training:
    """The federation as an experiment."""
    data = jo.data.load("digits")
    return jo.federated.fed_avg(
        model=jo.models.MLP((64, 32, 10)),
        loss=jo.losses.softmax_cross_entropy_with_integer_labels,
        data=data,
        clients=jo.federated.dirichlet_split(data.train.y, clients, alpha=0.5),
        optimizer=jo.sgd(RATE),
        epochs=EPOCHS,
        batch_size=BATCH,
    )


def arms(experiment: jo.Training, rounds: int) -> list[Arm]:
    units = rounds * len(experiment.estimator.clients)
    return [
        Arm("ours", "jo.fit of jo.federated.fed_avg", lambda: ours(experiment, rounds), (), units),
        Arm("ours-10", "the same, ten clients side by side",
            lambda: ours(jo.replace(experiment, at_a_time=10), rounds), (), units),
        Arm("loop", "a jitted training of one client, called from Python for each of them",
            lambda: loop(experiment, rounds), (), units),
        Arm("torch", "PyTorch, eager, client by client", lambda: torch_loop(experiment, rounds),
            ("torch",), units),
    ]  # fmt: skip


def ours(experiment: jo.Training, rounds: int) -> Any:
    return lambda: jo.fit(experiment, rounds, progress=False).state.loss


def loop(experiment: jo.Training, rounds: int) -> Any:
    """One program for a client, with the data closed over, and one for the mean."""
    clients = experiment.estimator.clients
    weights = jnp.asarray(clients.sizes / clients.sizes.sum(), jnp.float32)
    rows, sizes = jnp.asarray(clients.rows), jnp.asarray(clients.sizes)
    key = jax.random.key(0)
    start = jax.jit(experiment.init)(jax.random.fold_in(key, 0)).params  # that of jo.fit

    @jax.jit
    def alone(params, rows, sizes, k):
        own = jax.random.fold_in(key, k)
        f = jo.Objective(experiment, (), None, 0, key, key)
        params, _, loss = experiment.estimator._train_alone(f, params, rows[k], sizes[k], own)
        return params, loss

    @jax.jit
    def mean(trained, losses):
        params = jax.tree.map(lambda *p: jnp.tensordot(weights, jnp.stack(p), 1), *trained)
        return params, weights @ jnp.stack(losses)

    def run():
        params = start
        for _ in range(rounds):
            trained = [alone(params, rows, sizes, k) for k in range(len(clients))]
            params, loss = mean(*zip(*trained, strict=True))
        return loss

    return run


def torch_loop(experiment: jo.Training, rounds: int) -> Any:
    """Each client's own rows, without padding; one model that takes the params of each in turn."""
    import torch

    work = digits(1)
    x, y = to_torch(work.x), to_torch(work.y.astype(np.int64))
    model = Torch(work, fused=False).model().to(x.device)
    start = [p.detach().clone() for p in model.parameters()]
    clients = experiment.estimator.clients
    shares = clients.sizes / clients.sizes.sum()
    members = [to_torch(rows.astype(np.int64)) for rows in clients]

    def set_params(values):
        with torch.no_grad():
            for p, value in zip(model.parameters(), values, strict=True):
                p.copy_(value)

    def alone(rows):
        optimizer, loss = torch.optim.SGD(model.parameters(), RATE), torch.zeros(())
        for _ in range(EPOCHS):
            for batch in rows[torch.randperm(len(rows), device=x.device)].split(BATCH):
                loss = torch.nn.functional.cross_entropy(model(x[batch]), y[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        return loss.item()

    def run():
        params = start
        for _ in range(rounds):
            total, loss = [torch.zeros_like(p) for p in params], 0.0
            for share, rows in zip(shares, members, strict=True):
                set_params(params)
                if len(rows):
                    loss += share * alone(rows)
                for sum_, p in zip(total, model.parameters(), strict=True):
                    sum_ += share * p.detach()
            params = total
        return loss

    return run


if __name__ == "__main__":
    main()
