"""The command line: `jaxopt-edu`, which is `python -m jaxopt_edu`."""

from jaxopt_edu.cli.program import main, parser

__all__ = ["main", "parser"]
