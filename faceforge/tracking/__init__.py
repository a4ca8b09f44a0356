"""MLflow: runs, the model registry, and the model that loads from it.

MLflow takes seconds to import, so the modules here import it when it is needed.
"""

import os

# Read when MLflow is first imported. Neither the network nor a git executable is needed at run time.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
