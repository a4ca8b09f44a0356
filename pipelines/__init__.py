"""The DAG, and the three ways to run it: compiled for a cluster, submitted to one, or run on this machine."""
