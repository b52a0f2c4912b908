"""Models and losses: what is trained, what it minimizes, and how good it is."""
