"""Labelled synthetic image sets from a trained model: planned, checked, written in common formats, documented."""
