"""Pictures of a study, a run and a race, as matplotlib figures; nothing global is touched."""

from jaxopt_edu.plot.curves import plot_curves, plot_history
from jaxopt_edu.plot.figure import save
from jaxopt_edu.plot.importance import importance
from jaxopt_edu.plot.landscape import plot_landscape
from jaxopt_edu.plot.race import plot_race

__all__ = ["importance", "plot_curves", "plot_history", "plot_landscape", "plot_race", "save"]
