"""The command line: one file per command, each a thin view of a pipeline step or of a package."""
