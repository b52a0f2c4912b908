"""The notation of formulas in docstrings: read once, and then run, printed and drawn."""
