#!/usr/bin/env bash
# Builds the three images, or pushes them: build.sh build|push. `make images` and `make images-push` call it.
#   ENGINE       docker or podman; unset = the first that answers
#   REGISTRY     prefix of the names, for example registry.example/team
#   TAG          tag of the images; unset = the version of the code
#   LOCK         cpu or gpu: which TensorFlow is in faceforge-train
#   SBOM         folder for the bills of materials; build/sbom
#   BUILD_FLAGS  options of the engine's build, for example --build-arg PYTHON_IMAGE=...
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

images=(faceforge-core faceforge-train faceforge-serve)
prefix=${REGISTRY:+${REGISTRY%/}/}
bills=${SBOM:-build/sbom}
read -ra flags <<<"${BUILD_FLAGS:-}"

engine=${ENGINE:-}
for candidate in docker podman; do
    [[ -n $engine ]] && break
    if "$candidate" info >/dev/null 2>&1; then engine=$candidate; fi
done
if [[ -z $engine ]]; then
    echo 'error: neither docker nor podman answers; start one, or name it: make images ENGINE=podman' >&2
    exit 2
fi
tag=${TAG:-$(sed -n 's/^__version__ = "\(.*\)"/\1/p' faceforge/__init__.py)}

build() {
    local revision image full
    revision=$(git describe --always --dirty --abbrev=40 --exclude='*' 2>/dev/null || true)
    # Podman's own image format has no health checks, and Podman does not find an ignore file with another name.
    [[ $engine == *podman* ]] && flags+=(--format docker --ignorefile k8s/images/Dockerfile.dockerignore)
    mkdir -p "$bills"
    for image in "${images[@]}"; do
        full=$prefix$image:$tag
        "$engine" build --file k8s/images/Dockerfile --target "$image" --tag "$full" \
            --build-arg "LOCK=${LOCK:-cpu}" --build-arg "REVISION=$revision" "${flags[@]}" .
        # Like on a cluster: any user, nothing writable, no network.
        "$engine" run --rm --read-only --tmpfs /tmp --user 12345:0 --cap-drop ALL --network none "$full" \
            faceforge --version
        "$engine" run --rm --network none "$full" cat /opt/faceforge/sbom.json >"$bills/$image.cdx.json"
    done
    for image in "${images[@]}"; do
        full=$prefix$image:$tag
        printf '%-50s %6d MB  bill of materials: %s\n' "$full" \
            "$(($("$engine" image inspect --format '{{.Size}}' "$full") / 1000000))" "$bills/$image.cdx.json"
    done
}

push() {
    local image
    if [[ -z $prefix ]]; then
        echo 'error: where to? make images-push REGISTRY=registry.example/team TAG=1.0' >&2
        exit 2
    fi
    for image in "${images[@]}"; do
        "$engine" push "$prefix$image:$tag"
    done
}

case ${1:-} in
    build) build ;;
    push) push ;;
    *)
        echo 'error: build.sh build|push' >&2
        exit 2
        ;;
esac
