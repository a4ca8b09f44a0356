"""`faceforge ingest`."""

from __future__ import annotations

from pathlib import Path

import click

from faceforge.cli.options import configured, joined, optionally_tracked, out_option, tracking
from faceforge.errors import guarded


@click.command()
@click.argument("source")
@out_option
@click.option(
    "--labels", default="", help="Label columns to keep (a,b), or a CSV or Parquet file with a file-name column."
)
@click.option(
    "--labels-from-name",
    default="",
    metavar="PATTERN",
    help="Read labels from the file names, for example '{age}_{gender}_{id}'; put it in quotes.",
)
@configured
@optionally_tracked
def ingest(
    source: str,
    out: Path,
    labels: str,
    labels_from_name: str,
    preset: str,
    settings: tuple[str, ...],
    **mlflow: str,
) -> None:
    """Make an image set from SOURCE.

    \b
    SOURCE is one of
      toyfaces            drawn faces; toyfaces:neutral=8,glasses=1 for uneven classes
      toydigits           drawn digits
      digits              the handwritten digits that come with scikit-learn
      tfds:NAME           TensorFlow Datasets; ingest.data_dir names the folder of prepared ones
      a folder            of images, labelled by sub-folder, table, file name or CelebA's lists
      a zip or tar file   the same, without unpacking it
      Parquet             a file, a folder, or s3://, gs://, https:// addresses of files

    \b
    Examples:
      faceforge ingest toyfaces --out work/toy
      faceforge ingest photos.zip --out work/data --preset faces64 --labels people.csv
      faceforge ingest UTKFace/ --out work/data --labels-from-name '{age}_{gender}_{race}_{stamp}' --labels gender,race
      faceforge ingest CelebA/ --out work/data --preset faces64 --labels Smiling,Eyeglasses,Male
      faceforge ingest faces.parquet --out work/data --preset faces64 --labels gender,age_group
    """
    if labels_from_name:
        settings += (f'ingest.labels_from_name="{labels_from_name}"',)
    with guarded():
        from faceforge.steps.ingest import run_ingest

        run_ingest(
            source=source,
            labels=labels or None,
            preset=preset,
            settings=joined(settings),
            out=out,
            tracking=tracking(out, mlflow),
        )
