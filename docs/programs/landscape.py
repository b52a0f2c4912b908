"""Draws docs/pictures/landscape.png: 4,608 trainings, one a pixel, in two compiled programs."""

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import jaxopt_edu as jo

SIDE, STEPS = 48, 300
OPTIMIZERS = {
    "SGD with momentum 0.9": jo.sgd(jo.log_uniform(1e-4, 1e2), momentum=0.9),
    "Adam": jo.adam(jo.log_uniform(1e-5, 1e1)),
}


def study_of(optimizer):
    space = jo.Training(
        model=jo.models.MLP((64, 32, 10), gain=jo.log_uniform(1e-2, 1e2)),
        loss=jo.losses.softmax_cross_entropy_with_integer_labels,
        optimizer=optimizer,
        data=jo.data.load("digits"),
        batch_size=32,
    )
    return jo.sweep(space, SIDE**2, steps=STEPS, sampler="grid", metric="accuracy", mode="max")


def main():
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2)
    for axes, (title, optimizer) in zip(panels, OPTIMIZERS.items(), strict=True):
        study = study_of(optimizer)
        gain = study.columns["model.gain"].reshape(SIDE, SIDE)
        rate = study.columns["optimizer.learning_rate"].reshape(SIDE, SIDE)
        accuracy = study.columns["validation_accuracy"].reshape(SIDE, SIDE)
        axes.set_facecolor("#333333")
        mesh = axes.pcolormesh(
            rate, gain, accuracy, vmin=0, vmax=1, cmap="viridis", rasterized=True
        )
        best = study.hyperparameters()
        axes.plot(best["optimizer.learning_rate"], best["model.gain"], "*", color="#ff4d4d", ms=14)
        speed = study.info["model_steps_per_second"]
        axes.set(xscale="log", yscale="log", xlabel="learning rate", title=title)
        print(f"{title}: {len(study)} trainings of {STEPS} steps, {speed:,.0f} model-steps/s")
    panels[0].set_ylabel("gain of the initial weights")
    figure.colorbar(mesh, ax=panels, label="validation accuracy (dark: diverged)")
    figure.suptitle(f"Digits, one training of {STEPS} steps a pixel; the star is the best")
    figure.savefig(Path(__file__).parent.parent / "pictures" / "landscape.png", dpi=110)
    assert np.isfinite(accuracy).any()


if __name__ == "__main__":
    main()
