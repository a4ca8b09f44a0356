"""What `keras.ops` lacks: differentiation, compilation, several devices, the choice of precision, determinism."""
