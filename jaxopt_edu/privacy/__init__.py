"""Privacy: gradients that hide any one record, what they spend, and data that say less."""

from jaxopt_edu.privacy.accounting import ORDERS, epsilon, noise_multiplier, rdp
from jaxopt_edu.privacy.encryption import (
    decrypt,
    decrypt_file,
    encrypt,
    encrypt_file,
    load_params,
    save_params,
)
from jaxopt_edu.privacy.masking import k_anonymous, pseudonyms
from jaxopt_edu.privacy.mechanism import (
    add_noise,
    clip_each,
    clipped_gradients,
    clipped_sum,
    noisy_gradient,
    poisson_sample,
    sum_over,
)
from jaxopt_edu.privacy.training import Private, PrivateTraining

__all__ = [
    "ORDERS", "Private", "PrivateTraining", "add_noise", "clip_each", "clipped_gradients",
    "clipped_sum", "decrypt", "decrypt_file", "encrypt", "encrypt_file", "epsilon",
    "k_anonymous", "load_params", "noise_multiplier", "noisy_gradient", "poisson_sample",
    "pseudonyms", "rdp", "save_params", "sum_over",
]  # fmt: skip
