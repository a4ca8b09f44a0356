"""The Inception network of 2015 in whose features FID and KID are defined; see `network` and `extractor`."""
