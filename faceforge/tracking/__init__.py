"""MLflow: runs, model registry, lineage.

MLflow takes seconds to import, so these modules import it inside their functions.
"""

import os

# MLflow reads these when it is first imported. It then needs neither the network nor a git executable.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
# Files go through the tracking server. A server with an S3 store offers clients the store's own address, which often
# only the server can reach.
os.environ.setdefault("MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD", "false")
os.environ.setdefault("MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD", "false")
