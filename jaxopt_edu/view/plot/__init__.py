"""Pictures of studies, runs, races and explanations, as matplotlib figures of their own."""

from jaxopt_edu.view.plot.animation import Animation, animate_race
from jaxopt_edu.view.plot.bars import plot_bars, plot_waterfall
from jaxopt_edu.view.plot.beeswarm import plot_beeswarm
from jaxopt_edu.view.plot.contour import plot_contour
from jaxopt_edu.view.plot.curves import plot_curves, plot_run
from jaxopt_edu.view.plot.dependence import plot_dependence
from jaxopt_edu.view.plot.divergence import plot_divergence
from jaxopt_edu.view.plot.figure import save
from jaxopt_edu.view.plot.heat_map import plot_heat_map
from jaxopt_edu.view.plot.history import plot_history
from jaxopt_edu.view.plot.importance_bars import importance, plot_importance
from jaxopt_edu.view.plot.l1 import plot_l1_path
from jaxopt_edu.view.plot.landscape import plot_landscape
from jaxopt_edu.view.plot.parallel import plot_parallel
from jaxopt_edu.view.plot.pareto import plot_pareto
from jaxopt_edu.view.plot.race import plot_race
from jaxopt_edu.view.plot.rungs import plot_rungs
from jaxopt_edu.view.plot.slices import plot_slices
from jaxopt_edu.view.plot.timeline import plot_timeline
from jaxopt_edu.view.plot.validation import plot_validation_curve

__all__ = [
    "Animation", "animate_race", "importance", "plot_bars", "plot_beeswarm", "plot_contour",
    "plot_curves", "plot_dependence", "plot_divergence", "plot_heat_map", "plot_history",
    "plot_importance", "plot_l1_path", "plot_landscape", "plot_parallel", "plot_pareto",
    "plot_race", "plot_run", "plot_rungs", "plot_slices", "plot_timeline",
    "plot_validation_curve", "plot_waterfall", "save",
]  # fmt: skip
