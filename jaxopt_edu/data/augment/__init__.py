"""Augmentation: other examples with the same answer, made anew at every step of a training.

An augmentation is a value: `(key, x, y) -> x, y` on a batch, in the shape and dtype of x. A
`Training` applies it to the batch of a step, in the compiled program, and never where it scores.
Its numbers are leaves, to be swept. Every example has coins of its own.

Images are rows of pixels in reading order, (n, height * width * channels), or arrays
(n, height, width[, channels]); `shape` is (height, width) or (height, width, channels). `fill` is
the value of a pixel that comes from outside: 0 is black for pixels in [0, 1]. Data whose pixels are
standardized one by one are no images any more: prepare them with min_max or None.
"""

from jaxopt_edu.data.augment.base import Augmentation, AugmentationChain, Mixed, chain, losses_of
from jaxopt_edu.data.augment.features import Mixup, Noise, mixup, noise
from jaxopt_edu.data.augment.images import Crop, Cutout, Flip, Shift, crop, cutout, flip, shift

__all__ = [
    "Augmentation", "AugmentationChain", "Crop", "Cutout", "Flip", "Mixed", "Mixup", "Noise",
    "Shift", "chain", "crop", "cutout", "flip", "losses_of", "mixup", "noise", "shift",
]  # fmt: skip
