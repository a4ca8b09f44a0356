"""The web app: generate, check and explore faces, and browse the runs that made the models."""
