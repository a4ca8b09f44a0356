"""Generates a synthetic image set on disk.

    OUT/train-00000-of-00001.parquet, dataset.json    the image set, as ingest writes it
    OUT/folder, webdataset, tfds, coco                other formats, if requested
    OUT/README.md                                     dataset card
    OUT/report.html                                   verdict, measurements of these images, pictures
    OUT/manifest.json                                 model, options, counts, hashes

Finished parts are kept in `.OUT.work` meanwhile; the same call resumes from there.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from faceforge.data.imageset.info import DatasetInfo
from faceforge.data.imageset.reader import ImageSet, Record
from faceforge.data.imageset.writer import ImageSetWriter, check_target
from faceforge.data.pixels import Encoded, encode, from_bytes, map_ordered
from faceforge.errors import FaceForgeError
from faceforge.evaluation.domain_classifier import DomainClassifier
from faceforge.evaluation.saved_classifier import load_classifier
from faceforge.files import atomic_file, atomic_folder, exclusive_lock
from faceforge.synthesis.card import CARD, dataset_card
from faceforge.synthesis.checks import Check, CopyCheck, LabelCheck, RealismCheck
from faceforge.synthesis.classifier import NO_CLASSIFIER, find_classifier
from faceforge.synthesis.draw import draw_parts
from faceforge.synthesis.formats import write_format
from faceforge.synthesis.manifest import MANIFEST, Manifest, make_manifest, request_text
from faceforge.synthesis.measures import measure_set
from faceforge.synthesis.options import SynthesisConfig
from faceforge.synthesis.page import PAGE, report_page
from faceforge.synthesis.plan import Cell, make_plan
from faceforge.synthesis.source import open_model

if TYPE_CHECKING:
    from faceforge.synthesis.source import ModelSource


def synthesise(
    model: str,
    out: Path,
    config: SynthesisConfig,
    data: Path | None = None,
    report: Path | None = None,
    tracking_uri: str = "",
    work: Path | None = None,
) -> Manifest:
    """Generates a synthetic image set; an interrupted call is resumed, a finished one is not repeated.

    Args:
        model: bundle folder, `FILE.onnx`, `models:/NAME@ALIAS` or `models:/NAME/VERSION`.
        out: folder to write; replaced if it holds the image set of another request.
        config: how many images to make and which candidates to reject.
        data: image set of the real images, for `balance` and for the checks.
        report: output folder of the model's evaluation; None: the one stored with the version or beside the bundle.
        tracking_uri: MLflow server of the registry.
        work: folder for finished parts; None: `.OUT.work` beside `out`.

    Raises:
        FaceForgeError: impossible options (before anything is generated), or too many candidates were rejected.
    """
    out = Path(out)
    check_target(out)
    images = None if data is None else ImageSet.open(data)
    with open_model(model, report, tracking_uri) as source:
        _check_possible(source, images, config)
        plan = make_plan(source.generator.labels, config, images)
        text = request_text(source, images, config, plan)
        request = hashlib.sha256(text.encode()).hexdigest()
        if (done := _done(out, request)) is not None:
            return done
        if source.name != "onnx" or config.reject:
            from faceforge.compute import backend

            backend.be_deterministic()
        work = work or out.with_name(f".{out.name}.work")
        work.mkdir(parents=True, exist_ok=True)
        locked = exclusive_lock(work, busy=f"another generate is writing to {out}; wait for it, or name another folder")
        with locked:
            with atomic_folder(out) as partial:
                _keep_parts_of(work, text)
                checks = _checks(source, images, config, plan, work)
                parts, tallies = draw_parts(source.generator, plan, checks, config, work)
                made = ImageSet(partial, _merge(parts, partial, source))
                for form in config.formats:
                    write_format(made, form, partial / form)
                measures = measure_set(made, images, _classifier(source, checks), config.seed)
                page = report_page(made, images, source, measures, checks, plan, tallies)
                (partial / PAGE).write_text(page, encoding="utf-8")
                card = dataset_card(made.info, source, config, checks, plan, tallies, measures)
                (partial / CARD).write_text(card, encoding="utf-8")
                manifest = make_manifest(
                    partial, made, request, source, images, config, checks, plan, tallies, measures.metrics
                )
                (partial / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n")
            shutil.rmtree(work)
    return manifest


def _check_possible(source: ModelSource, images: ImageSet | None, config: SynthesisConfig) -> None:
    """Raises for options that must fail, before anything is written."""
    spec = source.generator.bundle.info.spec
    if images is not None and (images.info.image_size, images.info.channels) != (spec.image_size, spec.channels):
        raise FaceForgeError(
            f"image set {images.root} has {images.info.image_size} px and {images.info.channels} channels, the model "
            f"makes {spec.image_size} px and {spec.channels}; name the set it was trained on"
        )
    if "copies" in config.reject and images is None:
        raise FaceForgeError(
            "rejecting copies of training images needs the image set the model was trained on; name it with --data"
        )
    if "labels" in config.reject and images is None and source.classifier is None:
        raise FaceForgeError(NO_CLASSIFIER)


def _checks(
    source: ModelSource, images: ImageSet | None, config: SynthesisConfig, plan: list[Cell], work: Path
) -> list[Check]:
    """The requested checks; the first one that rejects an image gives the reason."""
    checks: list[Check] = []
    if "labels" in config.reject:
        classifier = find_classifier(source.classifier, images, work / "classifier")
        checks.append(LabelCheck(classifier, source.generator.labels))
    if "copies" in config.reject and images is not None:
        checks.append(CopyCheck(images))
    if config.drop_worst:
        checks.append(RealismCheck(source.generator, plan, config.drop_worst, config.seed, config.truncation))
    return checks


def _classifier(source: ModelSource, checks: list[Check]) -> DomainClassifier | None:
    """The classifier of the model's evaluation, or the one that the label check has trained; None if there is none."""
    for check in checks:
        if isinstance(check, LabelCheck):
            return check.classifier
    if source.classifier is None or find_spec("keras") is None:
        return None
    return load_classifier(source.classifier)


def _done(out: Path, request: str) -> Manifest | None:
    """The manifest in `out` if it belongs to the same request."""
    if not (out / MANIFEST).is_file():
        return None
    try:
        manifest = Manifest.read(out)
    except FaceForgeError:
        return None
    return manifest if manifest.request == request else None


def _keep_parts_of(work: Path, text: str) -> None:
    """Removes parts of another request from the folder of finished parts."""
    request = work / "order.json"
    if not request.is_file() or request.read_text() != text:
        for leftover in work.iterdir():
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        with atomic_file(request) as partial:
            partial.write_text(text)


def _merge(parts: Iterable[ImageSet], folder: Path, source: ModelSource) -> DatasetInfo:
    """Writes the parts as one image set, as a stream."""
    spec, labels = source.generator.bundle.info.spec, source.generator.labels
    name, size = f"synthetic: {source.name} {source.sha256[:12]}", spec.image_size
    writer = ImageSetWriter.of_model(folder, source=name, image_size=size, channels=spec.channels, labels=labels)

    def measured(record: Record) -> tuple[Encoded, Record]:
        return encode(from_bytes(record.image, spec.channels), record.image), record

    for part in parts:
        for encoded, record in map_ordered(measured, part.records("train")):
            writer.add("train", encoded, record.path, record.labels)
    return writer.finish()
