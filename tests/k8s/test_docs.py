"""The commands in docs/cluster.md match the manifests and the command line."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import yaml
from click.testing import CliRunner

from tests.k8s.conftest import K8S, named

TEXT = (K8S.parent / "docs/cluster.md").read_text()


def compile_commands() -> list[list[str]]:
    found = re.findall(r"^ +faceforge pipeline compile ((?:.*\\\n)*.*)", TEXT, re.MULTILINE)
    assert len(found) == 2
    return [shlex.split(command.replace("\\\n", " ")) for command in found]


def test_the_compile_commands_refer_to_objects_of_the_manifests(render: Callable[[str], str], tmp_path: Path) -> None:
    from pipelines.cli.pipeline import pipeline

    objects = list(yaml.safe_load_all(render("kind")))
    claims = {
        o["metadata"]["name"]
        for o in objects
        if o["kind"] == "PersistentVolumeClaim" and o["metadata"]["namespace"] == "kubeflow"
    }
    secret = named(objects, "Secret", "faceforge-mlflow")
    for words in compile_commands():
        place = words.index("--output") + 1
        words[place] = str(tmp_path / words[place])
        result = CliRunner().invoke(pipeline, ["compile", *words])
        assert result.exit_code == 0, result.output
        spec, platform = list(yaml.safe_load_all(Path(words[place]).read_text()))
        executors = spec["deploymentSpec"]["executors"].values()
        images = {e["container"]["image"] for e in executors}
        assert {image.split("/")[-1].split(":")[0] for image in images} == {"faceforge-core", "faceforge-train"}
        assert not [image for image in images if image.endswith(":latest")]
        pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values()
        mounted = {m["constant"] for pod in pods for m in pod.get("pvcMount", [])}
        assert mounted
        assert mounted <= claims
        for pod in pods:
            (source,) = {s["secretName"] for s in pod["secretAsEnv"]}
            assert source == secret["metadata"]["name"]
            keys = {k["secretKey"] for s in pod["secretAsEnv"] for k in s["keyToEnv"]}
            assert keys == set(secret["data"])


def test_the_secrets_that_an_operator_brings_are_listed(render: Callable[[str], str]) -> None:
    table = {
        re.sub("-$", "", name): set(re.findall(r"`([A-Z0-9_]+|s3\.json)`", keys))
        for name, keys in re.findall(r"^\| `([a-z-]+)`, (?:faceforge|kubeflow)[^|]*\| (.*) \|$", TEXT, re.MULTILINE)
    }
    made = {
        re.sub(r"-[a-z0-9]{10}$", "", o["metadata"]["name"]): set(o["data"])
        for o in yaml.safe_load_all(render("kind"))
        if o["kind"] == "Secret"
    }
    assert table == made


def test_images_of_others_are_listed_for_mirrors(render: Callable[[str], str]) -> None:
    images = set(re.findall(r"image: (\S+)", render("all")))
    assert all(f"`{image}`" in TEXT for image in images if not image.startswith("faceforge-"))
