"""DP-SGD on the handwritten digits at epsilon 1, 3 and 8: what privacy costs.

Softmax regression on 1,078 training examples, pixels divided by 16 (nothing is fitted to the data),
Poisson batches of 256 expected, DP-SGD with momentum. For each epsilon the noise is calibrated to
the number of steps, and a sweep chooses learning rate and clipping norm on the validation part; the
test accuracy of that trial is reported for five seeds. One program serves all rows of the table.

The epsilon is that of one training. Choosing among many spends more, unless it is done on data of
other people, as a study of what is possible does.

    python docs/programs/private_digits.py [--epsilon 1 3 8 inf] [--trials 64] [--seeds 5]
"""

import argparse
import math

import numpy as np

import jaxopt_edu as jo

STEPS, BATCH, DELTA = 150, 256, 1e-4


def digits(seed: int = 0) -> jo.data.Data:
    """The digits in [0, 1], in the parts of `load`."""
    raw = jo.data.load("digits", seed=seed, prepare=None)
    train, *others = [(part.x / 16, part.y) for part in (raw.train, raw.validation, raw.test)]
    validation, test = others
    return jo.data.from_arrays(*train, validation=validation, test=test, prepare=None)


def space(noise: float) -> jo.Training:
    """What is searched: the learning rate and the clipping norm, at a given noise."""
    return jo.Training(
        model=jo.models.Linear(64, 10),
        loss=jo.losses.softmax_cross_entropy_with_integer_labels,
        optimizer=jo.sgd(jo.log_uniform(0.03, 10.0), momentum=0.9),
        data=digits(),
        batch_size=BATCH,
        estimator=jo.Private(max_norm=jo.log_uniform(0.03, 3.0), noise_multiplier=noise),
    )


def row(epsilon: float, trials: int, seeds: int) -> str:
    """The best of a sweep at this epsilon, trained once more with each of the seeds."""
    noise = 0.0
    if epsilon < math.inf:
        rate = BATCH / len(digits().train.y)
        noise = jo.privacy.noise_multiplier(
            epsilon=epsilon, sample_rate=rate, steps=STEPS, delta=DELTA
        )
    best = jo.sweep(space(noise), trials=trials, steps=STEPS, progress=False).best
    tests = [
        jo.fit(best, STEPS, seed=seed, progress=False).evaluate("test")
        for seed in range(1, seeds + 1)
    ]
    accuracy = [scores["accuracy"] for scores in tests]
    pld = best.epsilon(STEPS, DELTA, accountant="pld") if noise else math.inf
    rate, clip = float(best.optimizer.learning_rate), float(best.estimator.max_norm)
    return (
        f"| {epsilon:g} | {pld:.2f} | {noise:.2f} | {rate:.2g} | {clip:.2g} "
        f"| {np.median(accuracy):.3f} | {min(accuracy):.3f} to {max(accuracy):.3f} |"
    )


def main(epsilons: list[float], trials: int = 64, seeds: int = 5) -> list[str]:
    """Prints the table; its rows."""
    names = ("epsilon (RDP)", "the same by PLD", "noise", "rate", "clip", "test accuracy")
    print(f"| {' | '.join(names)} | {seeds} seeds |")
    print("|--:|--:|--:|--:|--:|--:|--:|")
    rows = []
    for epsilon in epsilons:
        rows.append(row(epsilon, trials, seeds))
        print(rows[-1], flush=True)
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epsilon", type=float, nargs="+", default=[1.0, 3.0, 8.0, math.inf])
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    main(arguments.epsilon, arguments.trials, arguments.seeds)
