"""What the pipelines are: components chained into DAGs, their parameters, and compilation to YAML."""
