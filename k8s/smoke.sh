#!/usr/bin/env bash
# Tests a cluster made by k8s/cluster.sh: a toy run whose training pod is deleted, its logs, and a schedule that is deleted
# while its run is in progress. Needs port-forwards (docs/cluster.md), KF_PIPELINES_ENDPOINT and the installed `faceforge`.
#
#   k8s/smoke.sh [SETTINGS]      train.kimg=2 unless given
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

TAG=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' faceforge/__init__.py)
SETTINGS=${1:-train.kimg=2}
NAMESPACE=${KF_PIPELINES_NAMESPACE:-kubeflow}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
package=$scratch/smoke.yaml

fail() {
    echo "error: $1" >&2
    exit 1
}

# Id of the newest run that a schedule has started.
scheduled_run() { faceforge pipeline runs --limit 20 | awk '/ \(by schedule\)$/ && !seen++ {print $1}'; }

faceforge pipeline compile --output "$package" --core-image "faceforge-core:$TAG" --train-image "faceforge-train:$TAG" \
    --secret faceforge-mlflow:MLFLOW_TRACKING_USERNAME --secret faceforge-mlflow:MLFLOW_TRACKING_PASSWORD \
    --checkpoint-claim faceforge-checkpoints --retries 2 --memory 4Gi --shm-size 1Gi
options=(--package "$package" --tracking-uri http://mlflow.faceforge:5000 --set "$SETTINGS")

echo "== a run whose training pod is deleted"
faceforge pipeline submit "${options[@]}" --start-deadline 15 > >(tee "$scratch/submit.log") &
watcher=$!
run=
for _ in {1..90}; do
    sleep 10
    run=$(awk '$1 == "submitted" {print $2}' "$scratch/submit.log")
    [[ $run ]] || continue
    pod=$(kubectl get pods -n "$NAMESPACE" -l "pipeline/runid=$run" --field-selector status.phase=Running -o name 2>/dev/null |
        while read -r name; do
            node=$(kubectl get -n "$NAMESPACE" "$name" -o jsonpath='{.metadata.annotations.workflows\.argoproj\.io/node-name}')
            if [[ $node == *train*executor* ]]; then echo "$name"; fi
        done | head -n 1)
    [[ -z $pod ]] || break
    kill -0 "$watcher" 2>/dev/null || break
done
[[ ${pod:-} ]] || fail "no training pod of run $run has appeared"
kubectl delete -n "$NAMESPACE" "$pod"
wait "$watcher" || fail "run $run has not succeeded"
faceforge pipeline logs "$run" --step train --tail 1000 | grep images >/dev/null || fail "the training log is missing"

echo "== a schedule that is deleted while its run is in progress"
earlier=$(scheduled_run)
faceforge schedule set --name smoke --cron "* * * * *" "${options[@]}"
for _ in {1..20}; do
    sleep 10
    scheduled=$(scheduled_run)
    [[ $scheduled == "$earlier" ]] || break
done
[[ $scheduled != "$earlier" ]] || fail "the schedule has started no run"
faceforge schedule delete smoke
faceforge pipeline watch "$scheduled" --start-deadline 15 || fail "run $scheduled has not succeeded"
echo "all passed"
