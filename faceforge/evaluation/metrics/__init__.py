"""Metrics computed from features and logits: distances, overlaps and intervals. Independent of networks."""
