"""`faceforge fid`."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from faceforge.cli.options import json_option
from faceforge.errors import FaceForgeError, guarded

if TYPE_CHECKING:
    from faceforge.evaluation.inception.fid import Comparison

LINES = {
    "fid": ("FID", ".4f", ""),
    "fid_infinity": ("FID at infinity", ".4f", "fid_infinity_error"),
    "kid": ("KID", ".6f", "kid_std"),
    "precision": ("precision", ".4f", ""),
    "recall": ("recall", ".4f", ""),
    "density": ("density", ".4f", ""),
    "coverage": ("coverage", ".4f", ""),
    "inception_score": ("Inception score", ".4f", "inception_score_std"),
    "mmd": ("face embedding: MMD", ".5f", ""),
    "identity_match": ("same person as in REAL", ".4f", ""),
}


@click.command()
@click.argument("real")
@click.argument("fake", required=False)
@click.option("--weights", default="", metavar="FILE|URL|download", help="FID network; default: cached file.")
@click.option("--kid", is_flag=True, help="KID instead of FID: unbiased, so usable from 100 images.")
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="All metrics: FID, FID at infinity, KID, recall, ...",
)
@click.option(
    "--face", is_flag=True, help="Distance in a face embedding instead (extra `faces`; at most 1,000 images)."
)
@click.option(
    "--min-samples",
    type=click.IntRange(2),
    default=2048,
    show_default=True,
    help="Refuse FID of fewer images than this.",
)
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "bfloat16"]),
    default="auto",
    show_default=True,
    help="Number format of the network; auto: bfloat16 where the processor computes in it.",
)
@click.option("--save", type=click.Path(dir_okay=False, path_type=Path), help="Save statistics of REAL here (.npz).")
@json_option
def fid(
    real: str,
    fake: str | None,
    weights: str,
    kid: bool,
    everything: bool,
    face: bool,
    min_samples: int,
    precision: str,
    save: Path | None,
    as_json: bool,
) -> None:
    """Frechet Inception distance between two sets of images; lower is better.

    REAL and FAKE are folders of images, archives, Parquet files, image sets (their training split; DATA:holdout for the
    other) or .npz statistics, those of pytorch-fid included. Statistics of image sets are cached.

    \b
    Examples:
      faceforge fid photos/ samples/ --weights download
      faceforge fid work/data samples.parquet --all
      faceforge fid work/data:holdout few_samples/ --kid --json
      faceforge fid photos/ --save photos.npz
      faceforge fid photos.npz samples/
      faceforge fid photos/ samples/ --face
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # no TensorFlow start-up messages
    with guarded():
        from faceforge.evaluation.inception.fid import FID_ONLY, KID_ONLY, collect_set_statistics, compare_sets
        from faceforge.evaluation.inception.metrics import MEASURES

        if fake is None and save is None:
            raise FaceForgeError("FID needs two sets: name a second one, or save the statistics of one with --save")
        if save is not None:
            if save.suffix != ".npz":
                raise FaceForgeError(f"--save {save}: the name of a statistics file must end in .npz")
            statistics = collect_set_statistics(real, weights=weights, precision=precision)
            statistics.save(save)
            click.echo(f"{save}: statistics of {statistics.gaussian.count:,} images", err=True)
            real = str(save)
        if fake is not None:
            if face:
                comparison = _compare_faces(real, fake)
            else:
                comparison = compare_sets(
                    real,
                    fake,
                    weights=weights,
                    precision=precision,
                    measures=MEASURES if everything else KID_ONLY if kid else FID_ONLY,
                    min_samples=min_samples,
                )
            click.echo(json.dumps(asdict(comparison), indent=2) if as_json else _text(comparison))


def _compare_faces(real: str, fake: str) -> Comparison:
    from faceforge.evaluation.diagnostics.face_sets import compare_face_sets

    if files := [spec for spec in (real, fake) if spec.endswith(".npz")]:
        raise FaceForgeError(f"--face needs images: {files[0]} holds statistics of the FID network")
    return compare_face_sets(real, fake)


def _text(comparison: Comparison) -> str:
    values = {name.partition("/")[2]: value for name, value in comparison.metrics.items()}
    verified = not any(name.startswith("inception_unverified/") for name in comparison.metrics)
    lines = []
    for name, (label, form, spread) in LINES.items():
        if name in values:
            more = f" ± {values[spread]:{form}}" if spread else ""
            lines.append(f"{label + ('' if verified else ' (unverified)'):<30} {values[name]:{form}}{more}")
    lines.append("")
    for side, part in (("real", comparison.real), ("fake", comparison.fake)):
        count = f"{part.images:,}" if part.images else "an unknown number of"
        lines.append(f"{side}  {part.name}: {count} images")
    lines += [f"note  {note}" for note in comparison.notes]
    return "\n".join(lines)
