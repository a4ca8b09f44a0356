"""Ingest: from any source to an image set with a frozen holdout."""
