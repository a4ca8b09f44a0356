"""Pipeline definitions: components chained into DAGs, their parameters, and compilation to YAML."""
