"""How fast is one small model trained?

An MLP 784-128-128-10 with Adam, batch size 32, on MNIST-shaped synthetic data in memory: one call
trains as many steps as an epoch of 60,000 examples has. Every arm does the same steps of the same
model with the same loss; Keras and PyTorch run as their users write them.
"""

import functools
from typing import Any

import jax
from _common import Arm, Child, matmul_peak, measure, say, serve, slower
from _mlp import Torch, Work, experiment, init, mnist_shaped, product_flops, step, train
from _report import arguments, publish, seconds

import jaxopt_edu as jo

RATE = 1e-3
BACKENDS = ("jax", "tensorflow", "torch")
ARMS = ("ours", "python-loop", "scan", *(f"keras-{b}" for b in BACKENDS), "torch", "torch-fused")


def main() -> None:
    options = arguments(__doc__, ARMS)
    work = mnist_shaped(steps=20, examples=640) if options.quick else mnist_shaped(1875, 60_000)
    if options.serve:
        return serve(with_keras(work))
    say("measuring the peak of matrix products")
    peak, product = matmul_peak(options)
    flops = product_flops(work)
    timed = measure(arms(work, options), options)
    notes = [
        f"{work.steps:,} steps a call on {len(work.y):,} examples.",
        f"GFLOP/s counts matrix products only: {flops:,} FLOP a step by the jaxpr of ours.",
        f"The peak: {peak / 1e9:.1f} GFLOP/s, the best float32 square product ({product}).",
        "ours also evaluates 32 examples 20 times a call; Keras keeps a running mean of the loss, "
        "which is what stands for its last one below.",
        "compile: how much longer the first call took than the median (for eager arms: warm-up).",
        *(f"{arm.name}: {arm.what}; last training loss {float(arm.last):.3f}." for arm in timed),
    ]
    results = {
        "steps": work.steps, "examples": len(work.y), "product_flops_per_step": flops,
        "peak_flops": peak, "peak": product, "rows": [arm.as_dict() for arm in timed],
    }  # fmt: skip
    publish(__doc__, options, {work.name: lines(timed, flops, peak)}, results, notes)


def lines(timed: list[Arm], flops: int, peak: float) -> list:
    than_ours = slower(timed, "ours")
    return [
        {
            "arm": arm.name,
            "steps/s": f"{arm.rate:,.0f}",
            "quartiles": arm.rates,
            "one step": seconds(1 / arm.rate),
            "GFLOP/s": f"{flops * arm.rate / 1e9:.1f}",
            "of the peak": f"{flops * arm.rate / peak:.0%}",
            "time / ours": than_ours[arm.name],
            "compile": seconds(arm.compiling),
        }
        for arm in timed
    ]


# ---------------------------------------------------------------------------------------- arms


def arms(work: Work, options: Any) -> list[Arm]:
    def arm(name, what, make, *needs):
        return Arm(name, what, make, needs, units=work.steps)

    def keras(backend):
        return lambda: Child(f"keras-{backend}", options, KERAS_BACKEND=backend)

    def torch(fused):
        return lambda: functools.partial(Torch(work, fused), RATE)

    return [
        arm("ours", "jo.fit", lambda: ours(work)),
        arm("python-loop", "a jitted step with optax, called from Python",
            lambda: python_loop(work), "optax"),
        arm("scan", "one jitted lax.scan with optax over all batches, which reports nothing "
            "under way", lambda: scan(work), "optax"),
        *(arm(f"keras-{b}", f"Keras' fit on {b}, in a process of its own", keras(b), "keras", b)
          for b in BACKENDS),
        arm("torch", "PyTorch, eager", torch(False), "torch"),
        arm("torch-fused", "PyTorch, eager, fused Adam", torch(True), "torch"),
    ]  # fmt: skip


def ours(work: Work) -> Any:
    lean = experiment(work, jo.adam(RATE))
    return lambda: jo.fit(lean, work.steps, progress=False).state.loss


def python_loop(work: Work) -> Any:
    import optax

    optimizer = optax.adam(RATE)
    x, y, batches = jax.device_put(work.x), jax.device_put(work.y), work.rows()

    @jax.jit
    def start():
        params = init(jax.random.key(0), work.sizes)
        return params, optimizer.init(params)

    @functools.partial(jax.jit, donate_argnames=("params", "state"))
    def one(params, state, x, y, rows):
        return step(optimizer, params, state, x[rows], y[rows])

    def run():
        params, state = start()
        for rows in batches:
            params, state, value = one(params, state, x, y, rows)
        return value

    return run


def scan(work: Work) -> Any:
    program = jax.jit(train, static_argnames="sizes")
    data = [jax.device_put(a) for a in (work.x, work.y, work.rows())]
    return lambda: program(RATE, work.sizes, *data)


def with_keras(work: Work) -> Any:
    """Keras on the backend that its environment variable names."""
    import keras
    from keras import layers

    hidden = [layers.Dense(n, activation="relu") for n in work.sizes[1:-1]]
    model = keras.Sequential([keras.Input(work.sizes[:1]), *hidden, layers.Dense(work.sizes[-1])])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(RATE), loss=loss)
    n, initial = work.steps * work.batch, model.get_weights()

    def run():
        model.set_weights(initial)
        history = model.fit(work.x[:n], work.y[:n], batch_size=work.batch, epochs=1, verbose=0)
        return history.history["loss"][-1]

    return run


if __name__ == "__main__":
    main()
