"""`faceforge fid`: a thin view of `faceforge.evaluation.inception.fid`."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from faceforge.steps import steps

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
}


@click.command()
@click.argument("real")
@click.argument("fake", required=False)
@click.option("--weights", default="", metavar="FILE|URL|download", help="FID network; default: the cached file.")
@click.option("--kid", is_flag=True, help="KID instead of FID: unbiased, so fit for few images (from 100).")
@click.option("--all", "everything", is_flag=True, help="FID, FID at infinity, KID, precision, recall, density, ...")
@click.option("--min-samples", type=click.IntRange(2), default=2048, show_default=True, help="Refuse FID on fewer.")
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "bfloat16"]),
    default="auto",
    show_default=True,
    help="What the network computes in; auto: bfloat16 where the machine is fast in it.",
)
@click.option("--save", type=click.Path(dir_okay=False, path_type=Path), help="Keep REAL's statistics in this .npz.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def fid(
    real: str,
    fake: str | None,
    weights: str,
    kid: bool,
    everything: bool,
    min_samples: int,
    precision: str,
    save: Path | None,
    as_json: bool,
) -> None:
    """Frechet Inception distance between two sets of images; lower is better.

    REAL and FAKE are folders of images, archives, Parquet files, image sets (their training split; DATA:holdout for the
    other) or .npz statistics, those of pytorch-fid included. Statistics of image sets are kept for the next time.

    \b
    Examples:
      faceforge fid photos/ samples/ --weights download
      faceforge fid work/data samples.parquet --all
      faceforge fid work/data:holdout few_samples/ --kid --json
      faceforge fid photos/ --save photos.npz
      faceforge fid photos.npz samples/
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # numbers and progress, not TensorFlow's greetings
    with steps.guarded():
        from faceforge.errors import FaceForgeError
        from faceforge.evaluation.inception.fid import FID_ONLY, KID_ONLY, compare_sets, gather_set
        from faceforge.evaluation.inception.metrics import MEASURES

        if fake is None and save is None:
            raise FaceForgeError("nothing to compare with; name a second set, or keep statistics of one with --save")
        if save is not None:
            if save.suffix != ".npz":
                raise FaceForgeError(f"--save {save} would not be found again as statistics; let it end in .npz")
            gathered = gather_set(real, weights=weights, precision=precision)
            gathered.save(save)
            click.echo(f"{save}: statistics of {gathered.gaussian.count:,} images", err=True)
            real = str(save)
        if fake is not None:
            found = compare_sets(
                real,
                fake,
                weights=weights,
                precision=precision,
                wanted=MEASURES if everything else KID_ONLY if kid else FID_ONLY,
                min_samples=min_samples,
            )
            click.echo(json.dumps(asdict(found), indent=2) if as_json else _text(found))


def _text(found: Comparison) -> str:
    values = {name.partition("/")[2]: value for name, value in found.metrics.items()}
    verified = all(name.startswith("inception/") for name in found.metrics)
    lines = []
    for name, (label, form, spread) in LINES.items():
        if name in values:
            more = f" ± {values[spread]:{form}}" if spread else ""
            lines.append(f"{label + ('' if verified else ' (unverified)'):<30} {values[name]:{form}}{more}")
    lines.append("")
    for side, part in (("real", found.real), ("fake", found.fake)):
        count = f"{part.images:,}" if part.images else "an unknown number of"
        lines.append(f"{side}  {part.name}: {count} images")
    lines += [f"note  {note}" for note in found.notes]
    return "\n".join(lines)
