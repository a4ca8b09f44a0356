"""Generator and discriminator families, and the bundle that carries a trained pair."""
