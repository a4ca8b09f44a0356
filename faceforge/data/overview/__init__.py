"""Overviews of image sets: contact sheets, class counts and distributions."""
