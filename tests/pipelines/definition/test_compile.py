from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from faceforge.errors import FaceForgeError
from pipelines.cli.pipeline import pipeline
from pipelines.definition.compile import compile_pipeline
from pipelines.definition.compile_settings import compile_settings, parse_pair, parse_secret, parse_toleration
from pipelines.definition.definitions import DEFINITIONS, SYNTHESIS, TRAINING, TUNING, Definition

STEPS = TRAINING.steps


def compiled(path: Path, definition: Definition = TRAINING, **options: object) -> list[dict[str, Any]]:
    compile_pipeline(path, compile_settings(**options), definition)
    return list(yaml.safe_load_all(path.read_text()))


def steps_of(spec: dict[str, Any]) -> dict[str, Any]:
    """The tasks of the inner pipeline, which all but `close` belong to."""
    assert set(spec["root"]["dag"]["tasks"]) == {"steps", "close"}
    return dict(spec["components"]["comp-steps"]["dag"]["tasks"])


def executors(spec: dict[str, Any]) -> dict[str, Any]:
    return dict(spec["deploymentSpec"]["executors"])


@pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=list(DEFINITIONS))
def test_the_committed_files_are_current(definition: Definition, tmp_path: Path) -> None:
    fresh = compile_pipeline(tmp_path / "fresh.yaml", compile_settings(), definition)
    assert definition.committed.read_text() == fresh.read_text(), "run: faceforge pipeline compile"


def test_steps_and_what_they_wait_for(tmp_path: Path) -> None:
    spec = compiled(tmp_path / "p.yaml")[0]
    tasks = steps_of(spec)
    assert set(tasks) == set(STEPS)
    waits = {name: set(task.get("dependentTasks", [])) for name, task in tasks.items()}
    assert waits == {
        "ingest": set(),
        "augment": {"ingest"},
        "train": {"augment"},
        "evaluate": {"train", "ingest"},
        "export": {"train", "evaluate"},
        "register": {"export", "evaluate"},
    }


@pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=list(DEFINITIONS))
def test_the_run_is_closed_whatever_becomes_of_the_steps(definition: Definition, tmp_path: Path) -> None:
    spec, platform = compiled(tmp_path / "p.yaml", definition, secrets=(parse_secret("mlflow:token=TOKEN"),))
    close = spec["root"]["dag"]["tasks"]["close"]
    assert close["dependentTasks"] == ["steps"]
    assert close["triggerPolicy"]["strategy"] == "ALL_UPSTREAM_TASKS_COMPLETED"
    assert set(close["inputs"]["parameters"]) == {"tracking_uri", "experiment", "run_key", "job"}
    pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert pods["exec-close"]["secretAsEnv"][0]["keyToEnv"][0]["envVar"] == "TOKEN"
    for name, output in spec["root"]["outputDefinitions"].get("parameters", {}).items():
        assert output["parameterType"] == "STRING", name


def test_a_synthetic_set_is_checked_before_it_is_handed_out(tmp_path: Path) -> None:
    spec, platform = compiled(
        tmp_path / "p.yaml", SYNTHESIS, gpu=1, memory="8Gi", checkpoint_claim="parts", retries=2, data_claim="photos"
    )
    tasks = steps_of(spec)
    waits = {name: set(task.get("dependentTasks", [])) for name, task in tasks.items()}
    assert waits == {"generate": set(), "check": {"generate"}, "publish": {"generate", "check"}}
    parameters = spec["root"]["inputDefinitions"]["parameters"]
    assert set(parameters) == {
        "model", "data", "settings", "destination", "experiment", "tracking_uri", "run_key", "checkpoint_root",
    }  # fmt: skip
    assert all(p["parameterType"] == "STRING" and isinstance(p["defaultValue"], str) for p in parameters.values())
    assert parameters["checkpoint_root"]["defaultValue"] == "/checkpoints"
    assert tasks["generate"]["retryPolicy"]["maxRetryCount"] == 2
    assert executors(spec)["exec-generate"]["container"]["resources"]["accelerator"]["count"] == "1"
    assert "accelerator" not in executors(spec)["exec-check"]["container"].get("resources", {})
    pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert {mount["mountPath"] for mount in pods["exec-generate"]["pvcMount"]} == {"/data", "/checkpoints"}


def test_the_trials_of_a_search_are_fanned_out_twice(tmp_path: Path) -> None:
    spec, platform = compiled(
        tmp_path / "p.yaml", TUNING, tune_workers=3, gpu=1, checkpoint_claim="trials", retries=2, data_claim="photos"
    )
    tasks = steps_of(spec)
    loops = sorted(name for name in tasks if name.startswith("for-loop"))
    first, second = loops
    assert [tasks[loop]["parameterIterator"]["items"]["raw"] for loop in loops] == ["[0, 1, 2]"] * 2
    waits = {name: set(task.get("dependentTasks", [])) for name, task in tasks.items()}
    assert waits == {
        "ingest": set(),
        "split": {"ingest"},
        first: {"split"},
        "choose": {first},
        second: {"split", "choose"},
        "select": {"ingest", "split", "choose", second},
    }
    pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    for loop, step in ((first, "search"), (second, "repeat")):
        task = spec["components"][tasks[loop]["componentRef"]["name"]]["dag"]["tasks"][step]
        assert task["inputs"]["parameters"]["workers"]["runtimeValue"]["constant"] == 3.0
        assert task["retryPolicy"]["maxRetryCount"] == 2
        assert executors(spec)[f"exec-{step}"]["container"]["resources"]["accelerator"]["count"] == "1"
        assert [mount["mountPath"] for mount in pods[f"exec-{step}"]["pvcMount"]] == ["/checkpoints"]
    parameters = spec["root"]["inputDefinitions"]["parameters"]
    assert set(parameters) == {
        "source", "labels", "preset", "settings", "budget", "space", "seeds", "experiment", "tracking_uri", "run_key",
        "checkpoint_root",
    }  # fmt: skip
    assert all(p["parameterType"] == "STRING" and isinstance(p["defaultValue"], str) for p in parameters.values())


def test_a_pipeline_is_compiled_by_name(tmp_path: Path) -> None:
    output = tmp_path / "p.yaml"
    result = CliRunner().invoke(pipeline, ["compile", "--pipeline", "synthesis", "--output", str(output)])
    assert result.exit_code == 0, result.output
    assert next(yaml.safe_load_all(output.read_text()))["pipelineInfo"]["name"] == "faceforge-synthesis"


def test_no_pod_installs_packages_and_no_step_is_cached(tmp_path: Path) -> None:
    spec = compiled(tmp_path / "p.yaml")[0]
    for executor in executors(spec).values():
        assert "pip install" not in " ".join(executor["container"]["command"])
    tasks = {**spec["root"]["dag"]["tasks"], **steps_of(spec)}
    assert not any(task["cachingOptions"].get("enableCache") for task in tasks.values())


@pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=list(DEFINITIONS))
def test_a_step_has_the_image_that_it_needs(definition: Definition, tmp_path: Path) -> None:
    core, train = "r.example/core@sha256:" + "0" * 64, "r.example/train:1"
    spec = compiled(tmp_path / "p.yaml", definition, core_image=core, train_image=train)[0]
    images = {name.removeprefix("exec-"): made["container"]["image"] for name, made in executors(spec).items()}
    for made in executors(spec).values():
        assert {"name": "FACEFORGE_IMAGE", "value": made["container"]["image"]} in made["container"]["env"]
    networks = {step for step, image in images.items() if image == train}
    assert networks == set(definition.steps) - {"ingest", "augment", "register", "publish"}
    assert {images[step] for step in images if step not in networks} == {core}


@pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=list(DEFINITIONS))
def test_a_component_by_itself_names_that_image_too(definition: Definition) -> None:
    from importlib import import_module

    spec = next(yaml.safe_load_all(definition.committed.read_text()))
    for step in definition.steps:
        component = getattr(import_module(f"components.{step}.component"), step)
        alone = component.component_spec.implementation.container.image
        assert alone == executors(spec)[f"exec-{step}"]["container"]["image"]


def test_every_parameter_is_text_with_a_default(tmp_path: Path) -> None:
    spec = compiled(tmp_path / "p.yaml")[0]
    parameters = spec["root"]["inputDefinitions"]["parameters"]
    assert set(parameters) == {
        "source", "labels", "preset", "settings", "model_name", "experiment", "tracking_uri", "run_key",
        "checkpoint_root",
    }  # fmt: skip
    assert all(p["parameterType"] == "STRING" and isinstance(p["defaultValue"], str) for p in parameters.values())


def test_a_bucket_takes_the_place_of_the_volume(tmp_path: Path) -> None:
    output = tmp_path / "p.yaml"
    arguments = ["--checkpoint-path", "s3://faces/runs", "--retries", "2"]
    result = CliRunner().invoke(pipeline, ["compile", "--output", str(output), *arguments])
    assert result.exit_code == 0, result.output
    assert "pvcMount" not in output.read_text()
    spec = next(yaml.safe_load_all(output.read_text()))
    root = spec["root"]["inputDefinitions"]["parameters"]["checkpoint_root"]
    assert root["defaultValue"] == "s3://faces/runs"


def test_cluster_options_reach_the_platform_document(tmp_path: Path) -> None:
    output = tmp_path / "p.yaml"
    arguments = (  # noqa: SIM905
        "--gpu 2 --train-image r.example/f:1 --cpu 4 --memory 8Gi --shm-size 2Gi "
        "--secret mlflow:token=MLFLOW_TRACKING_TOKEN "
        "--pull-secret regcred --toleration nvidia.com/gpu:NoSchedule --node-selector pool=gpu "
        "--checkpoint-claim checkpoints --data-claim photos --retries 2"
    ).split()
    result = CliRunner().invoke(pipeline, ["compile", "--output", str(output), *arguments])
    assert result.exit_code == 0, result.output
    spec, platform = yaml.safe_load_all(output.read_text())

    train = executors(spec)["exec-train"]["container"]
    assert train["resources"]["accelerator"] == {
        "count": "2",
        "type": "nvidia.com/gpu",
        "resourceCount": "2",
        "resourceType": "nvidia.com/gpu",
    }
    assert "accelerator" not in executors(spec)["exec-evaluate"]["container"].get("resources", {})
    assert steps_of(spec)["train"]["retryPolicy"]["maxRetryCount"] == 2
    root = spec["root"]["inputDefinitions"]["parameters"]["checkpoint_root"]
    assert root["defaultValue"] == "/checkpoints"

    pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    for step in STEPS:
        assert pods[f"exec-{step}"]["secretAsEnv"][0]["keyToEnv"] == [
            {"secretKey": "token", "envVar": "MLFLOW_TRACKING_TOKEN"}
        ]
        assert pods[f"exec-{step}"]["imagePullSecret"][0]["secretName"] == "regcred"
    assert pods["exec-train"]["emptyDirMounts"][0] == {
        "medium": "Memory",
        "mountPath": "/dev/shm",
        "sizeLimit": "2Gi",
        "volumeName": "shm",
    }
    assert pods["exec-train"]["pvcMount"][0]["mountPath"] == "/checkpoints"
    assert pods["exec-ingest"]["pvcMount"][0]["mountPath"] == "/data"
    assert pods["exec-train"]["tolerations"][0] == {
        "key": "nvidia.com/gpu",
        "operator": "Exists",
        "effect": "NoSchedule",
    }
    assert pods["exec-train"]["nodeSelector"]["labels"] == {"pool": "gpu"}
    assert "nodeSelector" not in pods["exec-register"]


def test_options_for_every_pod(tmp_path: Path) -> None:
    output = tmp_path / "p.yaml"
    arguments = (  # noqa: SIM905
        "--env HF_HOME=/tmp/hf --env EMPTY= --pull-policy IfNotPresent --pod-label sidecar.istio.io/inject=false "
        "--pod-annotation cost-centre=ml --run-as-non-root --run-as-user 1000680000 --run-as-group 0 "
        "--cpu-request 500m --memory-request 1Gi"
    ).split()
    result = CliRunner().invoke(pipeline, ["compile", "--output", str(output), *arguments])
    assert result.exit_code == 0, result.output
    spec, platform = yaml.safe_load_all(output.read_text())
    pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert set(pods) == set(executors(spec)) == {f"exec-{step}" for step in (*STEPS, "close")}
    for name, executor in executors(spec).items():
        container, pod = executor["container"], pods[name]
        assert {"name": "HF_HOME", "value": "/tmp/hf"} in container["env"]
        assert {variable["name"] for variable in container["env"]} >= {"EMPTY", "FACEFORGE_IMAGE"}
        assert container["resources"]["resourceCpuRequest"] == "500m"
        assert container["resources"]["resourceMemoryRequest"] == "1Gi"
        assert pod["imagePullPolicy"] == "IfNotPresent"
        assert pod["podMetadata"]["labels"] == {"sidecar.istio.io/inject": "false"}
        assert pod["podMetadata"]["annotations"] == {"cost-centre": "ml"}
        assert pod["securityContext"] == {"runAsUser": "1000680000", "runAsGroup": "0", "runAsNonRoot": True}


@pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=list(DEFINITIONS))
def test_every_step_is_started_again_in_its_pod_and_close_cannot_hang(definition: Definition, tmp_path: Path) -> None:
    spec, platform = compiled(tmp_path / "p.yaml", definition)
    for executor in executors(spec).values():
        assert "python3 -m faceforge.steps.supervise kfp.dsl.executor_main" in " ".join(
            executor["container"]["command"]
        )
    pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert pods == {"exec-close": {"activeDeadlineSeconds": "120"}}


def test_a_variable_of_the_user_has_the_last_word_on_retries(tmp_path: Path) -> None:
    retries = {"FACEFORGE_STEP_RETRIES": "0"}
    spec = compiled(tmp_path / "p.yaml", checkpoint_claim="c", retries=2, env=retries)[0]
    for executor in executors(spec).values():
        found = [one["value"] for one in executor["container"]["env"] if one["name"] in retries]
        assert found == ["0"]


def test_retries_apply_to_every_step_without_a_deadline_of_an_hour(tmp_path: Path) -> None:
    spec = compiled(tmp_path / "p.yaml", checkpoint_claim="c", retries=2)[0]
    for executor in executors(spec).values():  # also to the process in the pod
        assert {"name": "FACEFORGE_STEP_RETRIES", "value": "2"} in executor["container"]["env"]
    for task in (*steps_of(spec).values(), spec["root"]["dag"]["tasks"]["close"]):
        assert task["retryPolicy"]["maxRetryCount"] == 2
        assert task["retryPolicy"]["backoffMaxDuration"] == "2592000s"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--env", "A"], "env 'A' is not of the form NAME=value"),
        (["--env", "1A=x"], "compile option env"),
        (["--pod-label", "a="], "pod label 'a=' is not of the form label=value"),
        (["--pull-policy", "Sometimes"], "compile option pull_policy = 'Sometimes'"),
        (["--run-as-user", "-1"], "compile option run_as_user = -1"),
        (["--cpu-request", "much"], "compile option cpu_request = 'much'"),
        (["--gpu", "-1"], "compile option gpu = -1"),
        (["--memory", "lots"], "compile option memory = 'lots'"),
        (["--secret", "mlflow"], "not of the form name:KEY=VARIABLE"),
        (["--toleration", "a:Sometimes"], "not of the form key=value:NoSchedule"),
        (["--node-selector", "gpu"], "not of the form label=value"),
        (["--retries", "2"], "--retries needs --checkpoint-claim"),
        (["--checkpoint-claim", "c", "--checkpoint-path", "s3://faces"], "cannot be mounted at a bucket"),
    ],
)
def test_a_bad_option_is_one_line_and_writes_nothing(tmp_path: Path, arguments: list[str], message: str) -> None:
    output = tmp_path / "p.yaml"
    result = CliRunner().invoke(pipeline, ["compile", "--output", str(output), *arguments])
    assert result.exit_code == 2
    assert message in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert not output.exists()


def test_forms_of_secrets_tolerations_and_selectors() -> None:
    assert parse_secret("s3:access-key=AWS_ACCESS_KEY_ID").env == "AWS_ACCESS_KEY_ID"
    assert parse_secret("mlflow:TOKEN").env == "TOKEN"
    toleration = parse_toleration("dedicated=train:NoExecute")
    assert (toleration.key, toleration.value, toleration.effect) == ("dedicated", "train", "NoExecute")
    assert parse_pair("node selector", "cloud.example/pool=gpu") == ("cloud.example/pool", "gpu")
    with pytest.raises(FaceForgeError):
        parse_pair("node selector", "=x")
