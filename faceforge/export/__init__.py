"""Export of model bundles to formats that other programs read."""
