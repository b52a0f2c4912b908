"""Optimizers, in chapters by family: a chapter holds the formulas and the recipes."""

from jaxopt_edu.optimizers.adam import Adam, AdamW, Nadam, NadamW, adam, adamw, nadam, nadamw
from jaxopt_edu.optimizers.adaptive import (
    Adadelta,
    AdaGrad,
    RMSProp,
    adadelta,
    adagrad,
    rmsprop,
)
from jaxopt_edu.optimizers.moments import (
    AdaBelief,
    AdaMax,
    AdaMaxW,
    AMSGrad,
    RAdam,
    Yogi,
    adabelief,
    adamax,
    adamaxw,
    amsgrad,
    radam,
    yogi,
)
from jaxopt_edu.optimizers.sgd import SGD, sgd
from jaxopt_edu.optimizers.sign import Lion, SignSGD, Signum, lion, sign_sgd, signum

__all__ = [
    "AMSGrad",
    "AdaBelief",
    "AdaGrad",
    "AdaMax",
    "AdaMaxW",
    "Adadelta",
    "Adam",
    "AdamW",
    "Lion",
    "Nadam",
    "NadamW",
    "RAdam",
    "RMSProp",
    "SGD",
    "SignSGD",
    "Signum",
    "Yogi",
    "adabelief",
    "adadelta",
    "adagrad",
    "adam",
    "adamax",
    "adamaxw",
    "adamw",
    "amsgrad",
    "lion",
    "nadam",
    "nadamw",
    "radam",
    "rmsprop",
    "sgd",
    "sign_sgd",
    "signum",
    "yogi",
]
