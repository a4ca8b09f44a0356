"""Running a compiled pipeline on this machine, as processes or in containers."""
