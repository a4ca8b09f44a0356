"""Whether a synthetic image set helps a classifier to recognise a rare class, and how to use it.

`measure.measure_usefulness` trains classifiers with and without the samples and compares them on held-out real images.
"""
