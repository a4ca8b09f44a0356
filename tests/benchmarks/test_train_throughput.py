"""The training benchmark runs, and compares what it says it compares."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

# Answers as `torch_training.py` does: one contender takes half a second for a step, the other cannot run.
PYTORCH = """#!{python}
import json, sys
print(json.dumps({{"version": "9", "device": "none", "contenders": ["torch_float32", "torch_compiled"]}}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    slow = request["contender"] == "torch_float32"
    print(json.dumps({{"seconds": 0.5 * request["steps"]}} if slow else {{"error": "no compiler"}}), flush=True)
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / "train_throughput.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_ratios_follow_from_interleaved_rounds(tmp_path: Path) -> None:
    pytorch = tmp_path / "python"
    pytorch.write_text(PYTORCH.format(python=sys.executable))
    pytorch.chmod(0o755)
    finished = run("--batch", "2", "--steps", "1", "--rounds", "2", "--torch", str(pytorch))
    assert finished.returncode == 0, finished.stderr
    figures = json.loads(finished.stdout)
    rates = figures["images_per_second"]
    assert rates["torch_float32"] == 4
    assert "torch_compiled is skipped: no compiler" in finished.stderr
    ours = [name for name in rates if name.startswith("faceforge")]
    assert "faceforge_float32" in ours
    assert figures["ratios"] == {
        f"{name} / torch_float32": pytest.approx(rates[name] / 4, rel=0.05, abs=0.02) for name in ours
    }
    # Two operations each for 3 passes of the generator and 7 of the discriminator, whose sizes are known.
    assert figures["gflop_per_image"] == pytest.approx(2 * (3 * 0.1046 + 7 * 0.1038), rel=0.01)
    assert figures["tflops"]["faceforge_float32"] == pytest.approx(
        rates["faceforge_float32"] * figures["gflop_per_image"] / 1000, abs=0.002
    )
    rounds = [line.split(":")[0] for line in finished.stderr.splitlines() if " steps in " in line]
    assert rounds == ["torch_float32", *ours] * 2


STYLE = {"image_size": 16, "latent_size": 8, "width": 4, "max_width": 8, "loss": "bce", "gamma": 1.0}


@pytest.mark.parametrize(
    "recipe", [{"family": "dcgan"}, {"family": "style", **STYLE, "learning_rate": 1e-3, "beta1": 0.0, "beta2": 0.9}]
)
def test_the_other_side_trains_the_same_networks(recipe: dict[str, object]) -> None:
    pytest.importorskip("torch", reason="PyTorch is not among the development packages")
    requests = "".join(json.dumps({"contender": f"torch_{name}", "steps": 1}) + "\n" for name in ("float32", "none"))
    command = [sys.executable, str(BENCHMARKS / "torch_training.py"), json.dumps({**recipe, "batch_size": 2})]
    finished = subprocess.run(command, input=requests, capture_output=True, text=True, check=True)
    about, trained, unknown = map(json.loads, finished.stdout.splitlines())
    assert about["contenders"][0] == "torch_float32"
    assert trained["seconds"] > 0
    assert "torch_none" in unknown["error"]
