"""Diagnostics of a model beyond distance to real images: each takes arrays and returns metrics, pictures and tables."""
