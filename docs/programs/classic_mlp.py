"""The second program of many courses, a multilayer perceptron on MNIST in Keras, mended.

The usual program builds Dense(128) - Dense(128) - Dense(10), compiles it with Adam, fits it for
five epochs, and then adds the regularization that the chapter is about:

    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x_train, y_train, epochs=5)
    model.layers[0].kernel_regularizer = keras.regularizers.l2(0.001)

The last line comes too late: the model is trained, and nothing trains it again. It is no error
either, so the same test accuracy is then read as the effect of regularization.

Here a penalty is a part of the experiment that `fit` is given. A trained run stays what it is; an
experiment with a penalty is another experiment, and has no weights until it is fitted itself.

    python docs/programs/classic_mlp.py [--data-path DIR_OR_NPZ] [--epochs N]

reads MNIST from its four files or an npz, for 5 epochs; without them it trains on scikit-learn's
digits, a fortieth of it, for 40.
"""

import argparse
import dataclasses
from typing import Any

import jaxopt_edu as jo


def experiment_on(data: jo.data.Data) -> jo.Training:
    """The network of the usual program."""
    inputs = data.train.x.shape[1]
    return jo.Training(
        model=jo.models.MLP((inputs, 128, 128, 10), initial="glorot"),
        loss=jo.losses.softmax_cross_entropy_with_integer_labels,
        optimizer=jo.adam(1e-3),
        data=data,
        regularizer=jo.L2(0.0),  # none; a number, so that one program serves all weights
        batch_size=32,
    )


def main(path: str | None = None, epochs: int | None = None) -> dict[str, dict[str, float]]:
    """Trains without a penalty, with one that comes too late, and with one that does something."""
    data = jo.data.load("mnist", path=path) if path else jo.data.load("digits")
    plain = experiment_on(data)
    epochs = epochs or (5 if path else 40)
    steps = epochs * (data.train.size // plain.batch_size)
    penalty = jo.L2(0.002)  # half the sum of squares: 0.001 in Keras, which leaves out the half

    run = jo.fit(plain, steps, progress=False)
    told = {"without L2": row(run, penalty)}

    late = dataclasses.replace(run, experiment=dataclasses.replace(plain, regularizer=penalty))
    told["L2 added after training"] = row(late, penalty)

    regular = dataclasses.replace(plain, regularizer=penalty)
    told["L2 in the experiment"] = row(jo.fit(regular, steps, progress=False), penalty)

    print(f"{data.source.name}, {steps} steps of {plain.batch_size} examples")
    for name, scores in told.items():
        print(f"{name:24}" + ", ".join(f"{what} {x:.4f}" for what, x in scores.items()))
    return told


def row(run: jo.Run, penalty: Any) -> dict[str, float]:
    """What the penalty would be, and how good the weights are."""
    scores = {split: run.evaluate(split)["accuracy"] for split in ("train", "test")}
    named = {f"{split} accuracy": x for split, x in scores.items()}
    return {"penalty of the weights": float(penalty(run.params)), **named}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-path")
    parser.add_argument("--epochs", type=int)
    arguments = parser.parse_args()
    main(arguments.data_path, arguments.epochs)
