"""Evaluation of a model bundle on the frozen holdout: metrics, diagnostics and the decision to promote.

`evaluate.evaluate_bundle` runs all of it. The other modules are its parts and can be used on their own. Importing them
is cheap: TensorFlow is imported only where a network runs.
"""
