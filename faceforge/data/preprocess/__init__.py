"""From the bytes of one image file to the pixels that are stored: decoding, cropping, quality filters, hashing."""
