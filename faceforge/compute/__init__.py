"""The few things that `keras.ops` lacks: differentiate, compile, choose a precision, be deterministic."""
