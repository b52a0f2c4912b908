"""Bricks that any optimizer may use, in chapters: clipping, scaling, memory, finite, masking."""

from jaxopt_edu.optim.transforms.base import Brick, Identity, SetToZero, identity, set_to_zero
from jaxopt_edu.optim.transforms.clipping import (
    AdaptiveGradClip,
    Clip,
    ClipByBlockRMS,
    ClipByGlobalNorm,
    adaptive_grad_clip,
    clip,
    clip_by_block_rms,
    clip_by_global_norm,
)
from jaxopt_edu.optim.transforms.finite import ApplyIfFinite, ZeroNans, apply_if_finite, zero_nans
from jaxopt_edu.optim.transforms.masking import (
    Freeze,
    Masked,
    Partition,
    freeze,
    masked,
    partition,
    selective_transform,
)
from jaxopt_edu.optim.transforms.memory import Ema, MultiSteps, Trace, ema, multi_steps, trace
from jaxopt_edu.optim.transforms.scaling import (
    AddDecayedWeights,
    AddNoise,
    Centralize,
    KeepParamsNonnegative,
    NormalizeByUpdateNorm,
    Scale,
    ScaleByLearningRate,
    ScaleBySchedule,
    add_decayed_weights,
    add_noise,
    centralize,
    keep_params_nonnegative,
    normalize_by_update_norm,
    scale,
    scale_by_learning_rate,
    scale_by_schedule,
)

__all__ = [
    "AdaptiveGradClip", "AddDecayedWeights", "AddNoise", "ApplyIfFinite", "Brick", "Centralize",
    "Clip", "ClipByBlockRMS", "ClipByGlobalNorm", "Ema", "Freeze", "Identity",
    "KeepParamsNonnegative", "Masked", "MultiSteps", "NormalizeByUpdateNorm", "Partition", "Scale",
    "ScaleByLearningRate", "ScaleBySchedule", "SetToZero", "Trace", "ZeroNans",
    "adaptive_grad_clip", "add_decayed_weights", "add_noise", "apply_if_finite", "centralize",
    "clip", "clip_by_block_rms", "clip_by_global_norm", "ema", "freeze", "identity",
    "keep_params_nonnegative", "masked", "multi_steps", "normalize_by_update_norm", "partition",
    "scale", "scale_by_learning_rate", "scale_by_schedule", "selective_transform", "set_to_zero",
    "trace", "zero_nans",
]  # fmt: skip
