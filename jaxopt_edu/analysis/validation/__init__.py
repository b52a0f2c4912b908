"""How well a model will do on new data, and which features it needs for that."""

from jaxopt_edu.analysis.validation.cross import CrossValidation, cross_validate
from jaxopt_edu.analysis.validation.features import FeatureRanking, L1Path, l1_path, rank_features
from jaxopt_edu.analysis.validation.ridge import RidgeLeaveOneOut, ridge_leave_one_out

__all__ = [
    "CrossValidation", "FeatureRanking", "L1Path", "RidgeLeaveOneOut", "cross_validate",
    "l1_path", "rank_features", "ridge_leave_one_out",
]  # fmt: skip
