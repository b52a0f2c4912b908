"""The first program of many courses, linear regression by gradient descent in NumPy, mended.

The usual program draws x of shape (1000, 1) and y of shape (1000,), and writes the gradient of the
mean squared error as it is in the book. NumPy stretches prediction - y, (1000, 1) against (1000,),
to (1000, 1000): every target is compared with every prediction. No error is raised, the loss falls,
and the slope ends at 0 whatever the data: each x is asked to predict the mean of all y.

    python docs/programs/classic_linear.py [--steps 1000]
"""

import argparse

import numpy as np

import jaxopt_edu as jo


def classic(x: np.ndarray, y: np.ndarray, steps: int, rate: float = 0.1) -> tuple[float, float]:
    """The usual program; slope and intercept."""
    w, b = 0.0, 0.0
    for _ in range(steps):
        error = w * x + b - y  # (1000, 1) - (1000,) is (1000, 1000), without a word
        w -= rate * 2 * np.mean(error * x)
        b -= rate * 2 * np.mean(error)
    return w, b


def main(steps: int) -> dict[str, float]:
    """Slopes: of the usual program, of the same with y of the right shape, ours, and exact."""
    data = jo.data.load("linear", seed=0, prepare=None)  # y = 3 x + U(0, 1)
    x, y = np.asarray(data.train.x), np.asarray(data.train.y)

    wrong, _ = classic(x, y, steps)
    print(f"x {x.shape}, y {y.shape}: the usual program finds y = {wrong:.2f} x + ...")
    right, _ = classic(x, y[:, None], steps)
    print(f"x {x.shape}, y {y[:, None].shape}: the usual program finds y = {right:.2f} x + ...")

    try:
        jo.losses.squared_error(np.zeros((1000, 1)), np.zeros(1000))
    except ValueError as error:
        print(f"ours, for such shapes: ValueError: {error}")
    line = jo.Training(
        model=jo.models.Linear(1),  # (n, 1) -> (n,)
        loss=jo.losses.squared_error,
        optimizer=jo.sgd(0.1),
        data=data,
    )
    run = jo.fit(line, steps, progress=False)
    ours = float(run.params["w"][0])
    exact = float(np.polyfit(x[:, 0], y, 1)[0])
    print(f"ours: y = {ours:.2f} x + {run.params['b']:.2f}; least squares: {exact:.2f} x + ...")
    return {"wrong": wrong, "right": right, "ours": ours, "exact": exact}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000)
    main(parser.parse_args().steps)
