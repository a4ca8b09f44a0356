"""Runs a compiled pipeline on this machine, with steps as processes or in containers."""
