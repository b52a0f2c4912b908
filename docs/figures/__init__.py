"""What the explorables of the chapters show: a module a chapter, a function and a script a figure.

A module has a function for each of its figures, which gives what the page holds (numbers, lists,
packed arrays), `RULES`, the formulas that the page runs itself, and `claims`, the numbers of its
prose.
"""
