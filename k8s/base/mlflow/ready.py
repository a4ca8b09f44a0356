"""Exits with 0 if the server answers a request that reads its database.

/health answers without a database, and all other paths need an account, which an HTTP probe cannot send.
"""

import base64
import os
import sys
import urllib.request

account = base64.b64encode(f"reader:{os.environ['READER_PASSWORD']}".encode()).decode()
request = urllib.request.Request(
    "http://localhost:5000/api/2.0/mlflow/experiments/get?experiment_id=0",
    headers={"Authorization": f"Basic {account}"},
)
try:
    urllib.request.urlopen(request, timeout=8).read()  # noqa: S310
except OSError as error:
    sys.exit(f"not ready: {error}")
