"""How long does one step of an optimizer take, and how near is it to what memory allows?

One update of Adam and of SGD with momentum, gradients given: ours, optax's, and PyTorch's fused.
The JAX arms are one compiled program, f(params, state, gradients) -> (params, state), that takes
over the buffers of params and state. A donated buffer becomes an output in the order of the
arguments, so what is donated and what comes back must stand in one order. The arm ours-crossed is
f(gradients, state, params) -> (params, state), where they do not: there XLA copies.
"of the copy" is the least traffic of the rule (Adam reads g, m, v, p and writes m, v, p) over the
time, as a share of the measured bandwidth of a copy; above 100% the arrays fit a cache.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from _common import Arm, copy_bandwidth, measure, say, slower, to_torch
from _report import arguments, publish, seconds

import jaxopt_edu as jo

ARMS = ("ours", "ours-closed", "ours-crossed", "optax", "torch", "torch-one")
MIXED = 0  # floats in each of several leaves: from 10 to 10,000, each size once
CASES = [(1, 1000), (100, 1000), (100, MIXED), (1000, 1000), (1, 20_000_000)]  # leaves, floats
QUICK_CASES = [(1, 1000), (20, 1000), (20, MIXED), (1, 100_000)]
RATE = 1e-3
PASSES = {"adam": 7, "momentum": 5}  # over arrays, read or written


def main() -> None:
    options = arguments(__doc__, ARMS)
    say("measuring the bandwidth of a copy")
    bandwidth, copy = copy_bandwidth(options)
    tables: dict[str, list] = {}
    results: dict[str, Any] = {"copy_bytes_per_second": bandwidth, "copy": copy, "rows": []}
    for rule, passes in PASSES.items():
        rows = tables.setdefault(f"One step of {rule}", [])
        for leaves, size in QUICK_CASES if options.quick else CASES:
            case = {"rule": rule, "leaves": leaves, "floats": size}
            say(f"{rule}, {leaves} x {words(size)} floats")
            timed = measure(arms(rule, leaves, size), options)
            traffic = passes * 4 * sum(sizes(leaves, size))
            rows += lines(timed, leaves, size, traffic, bandwidth)
            results["rows"] += [case | arm.as_dict() | {"bytes": traffic} for arm in timed]
    notes = [
        f"The copy: {bandwidth / 1e9:.1f} GB/s read and written ({copy}).",
        "ours takes the optimizer as an argument, so that its numbers may change without a new "
        "compilation (they are on the device; Python floats would be sent anew at each call); "
        "ours-closed has them in the program as constants, as optax's closures do.",
        "ours-crossed is ours-closed with donated arguments and results in different orders.",
        "torch's loops are spread over its threads whatever the size; torch-one has one thread.",
        "compile: how much longer the first call took than the median.",
    ]
    publish(__doc__, options, tables, results, notes)


def lines(timed: list[Arm], leaves: int, size: int, traffic: int, bandwidth: float) -> list:
    """The rows of one case."""
    than_optax = slower(timed, "optax")
    return [
        {
            "arm": arm.name,
            "leaves x floats": f"{leaves:,} x {words(size)}",
            "one step": seconds(arm.median),
            "quartiles": f"{seconds(arm.quartiles[0])} to {seconds(arm.quartiles[2])}",
            "of the copy": f"{traffic / arm.median / bandwidth:.0%}",
            "time / optax's": than_optax[arm.name],
            "compile": seconds(arm.compiling),
        }
        for arm in timed
    ]


# ---------------------------------------------------------------------------------------- arms


def arms(rule: str, leaves: int, size: int) -> list[Arm]:
    case = rule, leaves, size
    return [
        Arm("ours", "optimizer as an argument", lambda: ours(*case)),
        Arm("ours-closed", "optimizer closed over", lambda: ours_closed(*case)),
        Arm("ours-crossed", "closed over, results in another order", lambda: ours_crossed(*case)),
        Arm("optax", "closed over", lambda: with_optax(*case), ("optax",)),
        Arm("torch", "fused, threads by default", lambda: with_torch(*case), ("torch",)),
        Arm("torch-one", "fused, one thread", lambda: with_torch(*case, threads=1), ("torch",)),
    ]


def sizes(leaves: int, size: int) -> list[int]:
    """How many floats each leaf has."""
    mixed = [round(10 ** (1 + 3 * i / (leaves - 1))) for i in range(leaves)] if leaves > 1 else []
    return [size] * leaves if size != MIXED else mixed


def words(size: int) -> str:
    return "10 to 10,000" if size == MIXED else f"{size:,}"


def gradients(leaves: int, size: int) -> list:
    return [jnp.full(n, 0.01, jnp.float32) for n in sizes(leaves, size)]


def stepper(step: Any, init: Any, leaves: int, size: int) -> Any:
    """A function that goes one step further each time it is called."""
    grads, params = gradients(leaves, size), gradients(leaves, size)
    state = init(params)

    def run():
        nonlocal params, state
        params, state = step(params, state, grads)
        return params

    return run


def our_optimizer(rule: str) -> Any:
    return jo.adam(RATE) if rule == "adam" else jo.sgd(RATE, momentum=0.9)


def ours(rule: str, leaves: int, size: int) -> Any:
    @functools.partial(jax.jit, donate_argnames=("params", "state"))
    def step(params, state, grads, optimizer):
        updates, state = optimizer.update(grads, state, params)
        return jo.apply_updates(params, updates), state

    optimizer = jax.device_put(our_optimizer(rule))
    return stepper(lambda *given: step(*given, optimizer), optimizer.init, leaves, size)


def ours_closed(rule: str, leaves: int, size: int) -> Any:
    optimizer = our_optimizer(rule)

    @functools.partial(jax.jit, donate_argnames=("params", "state"))
    def step(params, state, grads):
        updates, state = optimizer.update(grads, state, params)
        return jo.apply_updates(params, updates), state

    return stepper(step, optimizer.init, leaves, size)


def ours_crossed(rule: str, leaves: int, size: int) -> Any:
    optimizer = our_optimizer(rule)

    @functools.partial(jax.jit, donate_argnames=("state", "params"))
    def step(grads, state, params):
        updates, state = optimizer.update(grads, state, params)
        return jo.apply_updates(params, updates), state

    def in_order(params, state, grads):
        return step(grads, state, params)

    return stepper(in_order, optimizer.init, leaves, size)


def with_optax(rule: str, leaves: int, size: int) -> Any:
    import optax

    optimizer = optax.adam(RATE) if rule == "adam" else optax.sgd(RATE, momentum=0.9)

    @functools.partial(jax.jit, donate_argnames=("params", "state"))
    def step(params, state, grads):
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    return stepper(step, optimizer.init, leaves, size)


@functools.cache
def default_threads() -> int:
    """How many threads PyTorch takes unless told otherwise."""
    import torch

    return torch.get_num_threads()


def with_torch(rule: str, leaves: int, size: int, threads: int | None = None) -> Any:
    import torch

    params = [to_torch(g).requires_grad_() for g in map(jax.device_get, gradients(leaves, size))]
    for p in params:
        p.grad = p.detach().clone()
    adam, sgd = torch.optim.Adam, functools.partial(torch.optim.SGD, momentum=0.9)
    optimizer = (adam if rule == "adam" else sgd)(params, RATE, fused=True)
    threads = threads or default_threads()

    def run():
        torch.set_num_threads(threads)
        optimizer.step()

    return run


if __name__ == "__main__":
    main()
