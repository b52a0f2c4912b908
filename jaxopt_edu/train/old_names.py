"""Names of version 0.1 of parts of private and federated trainings, and what they are called now.

Those trainings were classes of their own; now a `Training` has an estimator, whose parts they are.
"""

from typing import Any

from jaxopt_edu.values.deprecated import renamed

__all__ = ["MOVED", "NO_ARGUMENTS", "new_name", "old_attribute", "refuse_gone_methods"]

SINCE = "0.2.0"
MOVED = {  # by the class of 0.1
    "PrivateTraining": {
        name: f"estimator.{name}" for name in ("max_norm", "noise_multiplier", "microbatch")
    },
    "FedAvg": {
        "optimizer": "estimator.local",
        "server": "optimizer",
        **{
            name: f"estimator.{name}"
            for name in (
                "clients", "epochs", "batch_size", "clients_per_round", "mu", "max_norm",
                "noise_multiplier", "secure", "at_a_time",
            )
        },
    },
}  # fmt: skip
RENAMED = {
    old: renamed(old, new, SINCE)
    for moved in MOVED.values()
    for old, new in moved.items()
    if old != "optimizer"
}
NO_NORM = "track_gradient_norm is gone: tol= ends a training at that norm of its gradient"

NO_ARGUMENTS = {"track_gradient_norm": NO_NORM} | {
    old: f"{old} is called {name.new} now: dataclasses.replace, as Training, takes the parts of "
    f"today; jo.replace(training, {old}=...) finds it"
    for old, name in RENAMED.items()
    if old != "batch_size"
}
GONE = ("gradient", "take_step", "dropout_key")  # methods of Training that classes could override


def new_name(training: Any, name: str) -> str:
    """The name of today of a part of a training that a user names.

    max_norm and the like are endings of names of today, so they go on to name what they end.
    Warns of an old name.
    Errors: ValueError for a name that meant another part in 0.1.
    """
    head, dot, rest = name.partition(".")
    rest = dot + rest
    if head == "track_gradient_norm":
        raise ValueError(NO_NORM)
    moved = MOVED.get(getattr(training.estimator, "was", ""), {})
    if head == "optimizer" and head in moved:
        raise ValueError(
            f"{name!r} was the clients' before {SINCE} and is the server's now: here give "
            f"'{moved[head]}{rest}' for the clients', 'server{rest}' for the server's until "
            f"{RENAMED['server'].gone}, when {name!r} can be given again; in both, "
            "dataclasses.replace(experiment, optimizer=...) is the server's"
        )
    if head not in moved or head not in ("server", "batch_size"):
        return name
    RENAMED[head].warn(rest)
    return moved[head] + rest


def old_attribute(training: Any, name: str) -> Any:
    """A part of a training by the name that it had in 0.1; AttributeError where there is none."""
    what = type(training).__name__
    if name == "track_gradient_norm":
        raise AttributeError(NO_NORM, name=name, obj=training)
    known = name in RENAMED  # or a value that is being copied has no estimator yet
    moved = MOVED.get(getattr(training.estimator, "was", ""), {}) if known else {}
    if name not in moved:
        raise AttributeError(f"{what!r} object has no attribute {name!r}", name=name, obj=training)
    RENAMED[name].warn()
    for part in moved[name].split("."):
        training = getattr(training, part)
    return training


def refuse_gone_methods(kind: type) -> None:
    """TypeError where a class of a user's own overrides a method that nothing calls any more."""
    for name in GONE:
        if name in vars(kind):
            raise TypeError(
                f"{kind.__name__}.{name}: a Training has no {name} since {SINCE}, so that nothing "
                "would call it: wanted an estimator of your own (jo.Estimator), or learn(state, "
                "batch, t, key)"
            )
