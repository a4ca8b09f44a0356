#!/usr/bin/env bash
# Write the files behind k8s/components/secrets with random values. Files that are there already stay as they are.
set -euo pipefail
cd "${1:-$(dirname "${BASH_SOURCE[0]}")/components/secrets}"
umask 077

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

# The value of a key in a file of NAME=value lines.
value() { sed -n "s/^$2=//p" "$1"; }

# Standard input into a file, whole or not at all, unless the file is there.
write() {
    local text
    text=$(cat)
    [[ -e $1 ]] && { echo "kept    $1"; return; }
    printf '%s\n' "$text" >"$1.part"
    mv "$1.part" "$1"
    echo "written $1"
}

write mlflow-server.env <<END
PGPASSWORD=$(random)
AWS_ACCESS_KEY_ID=$(random)
AWS_SECRET_ACCESS_KEY=$(random)
MLFLOW_FLASK_SERVER_SECRET_KEY=$(random)
ADMIN_PASSWORD=$(random)
STEPS_PASSWORD=$(random)
READER_PASSWORD=$(random)
END
write objectstore.json <<END
{"identities": [{"name": "mlflow", "actions": ["Admin", "Read", "Write", "List", "Tagging"], "credentials": [
  {"accessKey": "$(value mlflow-server.env AWS_ACCESS_KEY_ID)", "secretKey": "$(value mlflow-server.env AWS_SECRET_ACCESS_KEY)"}]}]}
END
write faceforge-mlflow.env <<END
MLFLOW_TRACKING_USERNAME=steps
MLFLOW_TRACKING_PASSWORD=$(value mlflow-server.env STEPS_PASSWORD)
END
write faceforge-serve.env <<END
MLFLOW_TRACKING_USERNAME=reader
MLFLOW_TRACKING_PASSWORD=$(value mlflow-server.env READER_PASSWORD)
FACEFORGE_API_KEY=$(random)
END
