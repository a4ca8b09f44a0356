"""Questions put to a model beyond likeness: each takes arrays and returns metrics, pictures and tables."""
