#!/usr/bin/env bash
# Trains on several nodes: a Job whose workers compute each batch together.
#
#   k8s/workers.sh NAME WORKERS [--dry-run] OPTIONS OF faceforge train
#   k8s/workers.sh faces-1 4 --data /data/faces64 --preset faces64-gpu --set train.batch_size=256
#
# The image set lies on the claim faceforge-workers-data, the model is written to /checkpoints/NAME on the claim
# faceforge-workers-checkpoints; NAME is also its run in MLflow. With --dry-run the Job is shown and not started.
# Needs the component workers; see docs/cluster.md.
#
# NAMESPACE    of the pipelines (kubeflow)
set -euo pipefail

usage() {
    sed -n '2,11s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 2
}

refuse() {
    echo "error: $1" >&2
    exit 2
}

# A list of JSON strings.
quoted() {
    local text list=
    for text in "$@"; do
        [[ $text != *[[:cntrl:]]* ]] || refuse "an option holds a line break or the like"
        text=${text//\\/\\\\}
        list+=,\"${text//\"/\\\"}\"
    done
    printf '[%s]' "${list#,}"
}

[[ $# -ge 2 ]] || usage
name=$1 workers=$2
shift 2
[[ $name =~ ^[a-z0-9]([-a-z0-9]{0,50}[a-z0-9])?$ ]] || refuse "$name is not a valid name: at most 52 of a-z, 0-9 and -"
[[ $workers =~ ^[1-9][0-9]{0,2}$ ]] || refuse "$workers is not a number of workers"
finish=(create -f -)
if [[ ${1:-} == --dry-run ]]; then
    finish=(create --dry-run=client -o yaml -f -)
    shift
fi
[[ " $*" == *" --data"* ]] || refuse "--data is missing: an image set on the volume, for example /data/faces64"

pod=/spec/template/spec/containers/0
patch="[
  {\"op\": \"replace\", \"path\": \"/spec/completions\", \"value\": $workers},
  {\"op\": \"replace\", \"path\": \"/spec/parallelism\", \"value\": $workers},
  {\"op\": \"replace\", \"path\": \"$pod/env/0/value\", \"value\": \"$workers\"},
  {\"op\": \"add\", \"path\": \"$pod/args\", \"value\": $(quoted "$@")}
]"
where=(-n "${NAMESPACE:-kubeflow}")
job=$(kubectl create job "$name" "${where[@]}" --from=cronjob/faceforge-workers --dry-run=client -o json 2>/dev/null) ||
    refuse "the cluster's cronjob/faceforge-workers cannot be read, see: kubectl get cronjob ${where[*]}"
kubectl patch --local -f - --type=json -p "$patch" -o json <<<"$job" | kubectl "${finish[@]}" "${where[@]}"
