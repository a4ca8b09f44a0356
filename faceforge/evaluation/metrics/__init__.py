"""Mathematics on features and logits: distances, overlaps, intervals. Knows no networks."""
