"""Measures on held-out real images whether a synthetic image set helps to recognise one class."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceforge.data.imageset.info import versions
from faceforge.data.imageset.reader import ImageSet, Split
from faceforge.files import atomic_file, exclusive_lock
from faceforge.progress import Progress
from faceforge.usefulness.classifier import Trainer
from faceforge.usefulness.methods import BASELINES, MORE, REAL, SAMPLE, USES, Method, Pool, phases
from faceforge.usefulness.page import PAGE, render
from faceforge.usefulness.plan import Task, UsefulnessPlan, open_task
from faceforge.usefulness.ranking import Ranking, bootstrap_weights
from faceforge.usefulness.result import UsefulnessResult, compared, harmful_methods, useful_methods

RESULT = "usefulness.json"
RESAMPLES = 300
_LOGITS = "logits"  # folder of finished trainings


def measure_usefulness(plan: UsefulnessPlan) -> UsefulnessResult:
    """Trains all methods, writes `usefulness.json` and `usefulness.html` into `plan.out`, and returns the result.

    The same plan, images and software give the same result on the same machine.

    Raises:
        FaceForgeError: the sets do not fit together or are too small; before anything is trained.
    """
    task = open_task(plan)
    plan.out.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(plan.out, busy=f"another process writes to {plan.out}; wait for it, or name another folder"):
        truth, logits = _all_logits(plan, task)
        positive = truth == task.code
        weights = bootstrap_weights(positive, RESAMPLES, seed=0)
        rankings = {m: Ranking.of(_log_odds(rows, task.code), positive, weights) for m, rows in logits.items()}
        recalls = {m: float((rows.argmax(axis=2)[:, positive] == task.code).mean()) for m, rows in logits.items()}
        result = _result(plan, task, rankings, recalls)
        for name, text in ((RESULT, result.model_dump_json(indent=2) + "\n"), (PAGE, render(result))):
            with atomic_file(plan.out / name) as partial:
                partial.write_text(text)
    return result


def _all_logits(plan: UsefulnessPlan, task: Task) -> tuple[NDArray[np.int32], dict[Method, NDArray[np.float32]]]:
    """Classes of the held-out images (N,), and per method the logits (seeds, N, classes); trains what is missing."""
    folder = _keep_logits_of(plan, task)
    truth = task.data.codes("holdout", [task.column])[:, 0]
    paths = {
        (method, seed): folder / f"{method.name}-{seed}.npy" for method in task.methods for seed in range(plan.seeds)
    }
    missing = [key for key, path in paths.items() if not path.is_file()]
    total = len(paths) * plan.steps
    with Progress("usefulness", total, unit="step", done=total - len(missing) * plan.steps) as progress:
        if missing:
            pool, (holdout, _) = _pool(task), _load(task, task.data, "holdout")
            trainer = Trainer(pool, plan.steps, plan.flip)
            for method, seed in missing:
                trainer.train(phases(method, pool, seed), seed, progress, method.title)
                with atomic_file(paths[method, seed]) as partial, partial.open("wb") as stream:
                    np.save(stream, trainer.logits(holdout))
    arrays = {key: np.load(path, allow_pickle=False) for key, path in paths.items()}
    return truth, {method: np.stack([arrays[method, seed] for seed in range(plan.seeds)]) for method in task.methods}


def _keep_logits_of(plan: UsefulnessPlan, task: Task) -> Path:
    """The folder of finished trainings; those of another comparison are removed."""
    settings = {name: value for name, value in asdict(plan).items() if name in ("steps", "flip")}
    sets = [images.info.digest for images in (task.data, task.synthetic, task.more_real) if images is not None]
    content = {"column": task.column, "sets": sets, **settings, "versions": versions()}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    folder = plan.out / _LOGITS / digest
    for other in (plan.out / _LOGITS).glob("*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _pool(task: Task) -> Pool:
    """All images to train on; codes are positions in the vocabulary of the real images."""
    parts = [(REAL, task.data), (SAMPLE, task.synthetic), *([(MORE, task.more_real)] if task.more_real else [])]
    loaded = [(origin, *_load(task, images, "train")) for origin, images in parts]
    return Pool(
        images=np.concatenate([images for _, images, _ in loaded]),
        codes=np.concatenate([codes for *_, codes in loaded]),
        origin=np.concatenate([np.full(len(codes), origin) for origin, _, codes in loaded]),
        classes=len(task.classes),
    )


def _load(task: Task, images: ImageSet, split: Split) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    pixels, codes = images.load(split, [task.column])
    places = np.array([task.classes.index(name) for name in images.info.labels[task.column]], np.intp)
    return pixels, places[codes[:, 0]]


def _log_odds(logits: NDArray[np.float32], code: int) -> NDArray[np.float64]:
    """Log odds of one class against all others, from logits (..., classes)."""
    from scipy.special import logsumexp

    wide = logits.astype(np.float64)
    return np.asarray(wide[..., code] - logsumexp(np.delete(wide, code, axis=-1), axis=-1))


def _result(
    plan: UsefulnessPlan, task: Task, rankings: dict[Method, Ranking], recalls: dict[Method, float]
) -> UsefulnessResult:
    methods, differences = compared(rankings, recalls)
    auc = {method.name: method.metrics["auc"].value for method in methods}
    best, use = (max((m.name for m in group), key=lambda name: auc[name]) for group in (BASELINES, USES))
    useful = useful_methods(differences)
    counts = {}
    for kind, images, split in (
        ("train", task.data, "train"),
        ("holdout", task.data, "holdout"),
        ("samples", task.synthetic, "train"),
        *((("more_real", task.more_real, "train"),) if task.more_real else ()),
    ):
        counts[kind] = images.info.counts[split].total
        counts[f"{kind}_of_class"] = images.info.counts[split].classes[task.column].get(task.name, 0)
    gap = auc["more_real"] - auc[best] if task.more_real else 0.0
    return UsefulnessResult(
        column=task.column,
        name=task.name,
        counts=counts,
        seeds=plan.seeds,
        steps=plan.steps,
        methods=methods,
        differences=differences,
        useful=useful,
        harmful=harmful_methods(differences, best),
        recommended=max(useful, key=lambda name: auc[name]) if useful else best,
        gap_closed=(auc[use] - auc[best]) / gap if gap > 0 else None,
        notes=list(task.notes),
    )
