#!/usr/bin/env bash
# A cluster on this machine: kind, Kubeflow Pipelines and MLflow.
#
#   k8s/cluster.sh up [--dry-run]      can be repeated: an existing cluster is kept
#   k8s/cluster.sh down [--dry-run]    removes the cluster with everything that it stores
#
# FACEFORGE_CLUSTER    name of the cluster (faceforge)
# KFP_MANIFESTS        folder or address of Kubeflow Pipelines' manifests/kustomize (three of its kustomizations
#                      point to GitHub: without a network, a copy needs them replaced by copies too)
# ENGINE               docker or podman; unset = the first that answers
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

KFP_VERSION=2.17.0
TAG=0.1.0
IMAGES=(faceforge-core faceforge-train faceforge-serve)
NAME=${FACEFORGE_CLUSTER:-faceforge}
KFP_MANIFESTS=${KFP_MANIFESTS:-github.com/kubeflow/pipelines/manifests/kustomize}
DRY_RUN=
SCRATCH=SCRATCH
trap '[[ $SCRATCH == SCRATCH ]] || rm -rf "$SCRATCH"' EXIT

# A remote base is pinned to a release by its query.
kfp() {
    if [[ -d $KFP_MANIFESTS ]]; then echo "$KFP_MANIFESTS/$1"; else echo "$KFP_MANIFESTS/$1?ref=$KFP_VERSION"; fi
}

run() {
    printf '+ %s\n' "$*"
    [[ $DRY_RUN ]] || "$@"
}

# Always this cluster's context, never the current one.
kube() { run kubectl --context "kind-$NAME" "$@"; }

want() {
    command -v "$1" >/dev/null && return
    [[ $DRY_RUN ]] && { echo "note: $1 is not installed" >&2; return; }
    echo "error: $1 is not installed: $2" >&2
    exit 2
}

exists() { [[ ! $DRY_RUN ]] && kind get clusters 2>/dev/null | grep -qx "$NAME"; }

check_tools() {
    local candidate
    want kind https://kind.sigs.k8s.io
    want kubectl https://kubernetes.io/docs/tasks/tools
    for candidate in docker podman; do
        [[ -n ${ENGINE:-} ]] && break
        if "$candidate" info >/dev/null 2>&1; then ENGINE=$candidate; fi
    done
    ENGINE=${ENGINE:-docker}
    want "$ENGINE" "docker or podman is needed, and must be running"
    [[ $ENGINE != *podman* ]] || export KIND_EXPERIMENTAL_PROVIDER=podman
}

# Images go through a file: `kind load docker-image` does not support podman, which also prefixes names with `localhost`.
load_images() {
    local image full
    run make images "TAG=$TAG" "ENGINE=$ENGINE"
    [[ $DRY_RUN ]] || SCRATCH=$(mktemp -d)
    for image in "${IMAGES[@]}"; do
        full=docker.io/library/$image:$TAG
        run "$ENGINE" tag "$image:$TAG" "$full"
        run "$ENGINE" save --output "$SCRATCH/image.tar" "$full"
        run kind load image-archive "$SCRATCH/image.tar" --name "$NAME"
        run rm "$SCRATCH/image.tar" # podman does not overwrite a file
    done
}

up() {
    check_tools
    exists || run kind create cluster --name "$NAME" --config k8s/kind.yaml --wait 5m
    kube apply -k "$(kfp cluster-scoped-resources)"
    kube wait --for=condition=established --timeout=120s crd/applications.app.k8s.io
    kube apply -k "$(kfp env/platform-agnostic)"
    kube patch configmap -n kubeflow workflow-controller-configmap --patch-file k8s/kubeflow/retries.yaml
    load_images
    run k8s/secrets.sh
    kube apply -k k8s/overlays/kind
    kube rollout status -n faceforge --timeout=10m deployment/mlflow
    kube rollout status -n kubeflow --timeout=20m deployment/ml-pipeline
    cat <<END

The cluster is up. In two other terminals:
  kubectl --context kind-$NAME port-forward -n kubeflow svc/ml-pipeline 8888
  kubectl --context kind-$NAME port-forward -n faceforge svc/mlflow 5000
MLflow is at http://localhost:5000, account admin, password ADMIN_PASSWORD in k8s/components/secrets/mlflow-server.env.
How to compile and submit the pipeline: docs/cluster.md
END
}

down() {
    want kind https://kind.sigs.k8s.io
    run kind delete cluster --name "$NAME"
}

usage() {
    sed -n '2,11s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 2
}

case ${2:-} in
    "") ;;
    --dry-run) DRY_RUN=1 ;;
    *) usage ;;
esac
case ${1:-} in
    up) up ;;
    down) down ;;
    *) usage ;;
esac
