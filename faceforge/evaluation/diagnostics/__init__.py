"""Diagnostics of a model beyond its distance from real images; each takes arrays and returns metrics."""
