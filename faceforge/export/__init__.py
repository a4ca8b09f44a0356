"""Model formats for people and programs that do not know the bundle."""
