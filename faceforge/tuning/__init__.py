"""Search for training settings: trials on a validation split, early stopping of bad ones, repeats of the best."""
