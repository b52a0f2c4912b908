"""Names of version 0.1 of parts of private and federated trainings, and what they are called now.

Those trainings were classes of their own; now a `Training` has an estimator, whose parts they are.
"""

import operator
from typing import TYPE_CHECKING, Any

from jaxopt_edu.values.deprecated import renamed

SINCE = "0.2.0"


def _of_estimator(*names: str) -> dict[str, str]:
    return {name: f"estimator.{name}" for name in names}


MOVED = {  # by the class of 0.1
    "PrivateTraining": _of_estimator("max_norm", "noise_multiplier", "microbatch"),
    "FedAvg": {"optimizer": "estimator.local", "server": "optimizer"}
    | _of_estimator(
        "clients", "epochs", "batch_size", "clients_per_round", "mu", "max_norm",
        "noise_multiplier", "secure", "at_a_time",
    ),
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


class OldNames:
    """Base of `Training`: by its names of 0.1 a part is found with a warning, or refused."""

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        for name in GONE:
            if name in vars(cls):
                raise TypeError(
                    f"{cls.__name__}.{name}: a Training has no {name} since {SINCE}, so that "
                    "nothing would call it: wanted an estimator of your own (jo.Estimator), or "
                    "learn(state, batch, t, key)"
                )

    def new_name(self, name: str) -> str:
        """The name of today of a part that a user names: see `jo.replace`.

        max_norm and the like are endings of names of today, so they go on to name what they end.
        Warns of an old name.
        Errors: ValueError for a name that meant another part in 0.1.
        """
        head, dot, rest = name.partition(".")
        rest = dot + rest
        if head == "track_gradient_norm":
            raise ValueError(NO_NORM)
        moved = _moved(self)
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

    if not TYPE_CHECKING:

        def __getattr__(self, name):
            if name == "track_gradient_norm":
                raise AttributeError(NO_NORM, name=name, obj=self)
            # a value that is being copied has no estimator yet, and is asked for others only
            if name not in RENAMED or name not in _moved(self):
                said = f"{type(self).__name__!r} object has no attribute {name!r}"
                raise AttributeError(said, name=name, obj=self)
            RENAMED[name].warn()
            return operator.attrgetter(RENAMED[name].new)(self)


def _moved(training: Any) -> dict[str, str]:
    """The names of today by those of 0.1, of the parts of the class that it was then."""
    return MOVED.get(getattr(training.estimator, "was", ""), {})
