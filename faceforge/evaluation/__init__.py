"""Judging a bundle on the frozen holdout: metrics, their floor, and the decision to promote.

`evaluate.evaluate` does all of it; the other modules are its parts, each usable on its own. Importing them is cheap:
TensorFlow is imported only where a network runs.
"""
