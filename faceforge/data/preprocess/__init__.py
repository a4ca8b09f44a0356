"""From the bytes of one image file to the pixels that are stored: decode, crop, filter, hash."""
