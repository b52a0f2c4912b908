"""Pictures of studies, runs, races and explanations, as matplotlib figures of their own."""

from jaxopt_edu.plot.bars import plot_bars, plot_waterfall
from jaxopt_edu.plot.beeswarm import plot_beeswarm
from jaxopt_edu.plot.curves import plot_curves, plot_history
from jaxopt_edu.plot.dependence import plot_dependence
from jaxopt_edu.plot.figure import save
from jaxopt_edu.plot.heat_map import plot_heat_map
from jaxopt_edu.plot.importance import importance
from jaxopt_edu.plot.landscape import plot_landscape
from jaxopt_edu.plot.race import plot_race

__all__ = [
    "importance", "plot_bars", "plot_beeswarm", "plot_curves", "plot_dependence", "plot_heat_map",
    "plot_history", "plot_landscape", "plot_race", "plot_waterfall", "save",
]  # fmt: skip
