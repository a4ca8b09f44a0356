"""`faceforge generate`: a thin view of `faceforge.synthesis`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from faceforge.steps import steps

_set = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.option("--model", required=True, help="models:/NAME@ALIAS, models:/NAME/VERSION, a bundle folder, or FILE.onnx.")
@click.option("--out", required=True, type=_set, help="Folder to write.")
@click.option("--count", type=int, help="So many images in all.")
@click.option("--per-class", type=int, help="So many images of every class, or combination of classes of --by.")
@click.option("--balance", type=_set, metavar="DATASET", help="What this image set lacks for equal classes.")
@click.option("--target", type=int, help="Images per class to fill up to; default: as many as the largest class has.")
@click.option("--by", metavar="A,B", help="Label columns whose combinations are counted; default: all.")
@click.option("--seed", type=int, help="Of the latents; default 0.")
@click.option("--truncation", type=float, help="0..1: below 1 typical faces, less variety; default 1.")
@click.option(
    "--reject",
    multiple=True,
    type=click.Choice(["labels", "copies"]),
    help="labels: a classifier sees another label; copies: nearly a training image. Repeatable.",
)
@click.option("--drop-worst", type=float, help="Share of candidates to refuse that the discriminator finds least real.")
@click.option("--max-tries", type=int, help="Candidates per wanted image before giving up; default 20.")
@click.option("--data", type=_set, metavar="DATASET", help="Real images that checks go by; default: that of --balance.")
@click.option("--report", type=_set, help="Output of the model's evaluation; default: what is kept with the model.")
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(["folder", "webdataset", "tfds", "coco"]),
    help="Written too, in a sub-folder; repeatable.",
)
@click.option("--tracking-uri", default="", help="Where models:/ are; default: $MLFLOW_TRACKING_URI, else ./mlflow.db.")
def generate(
    model: str,
    out: Path,
    balance: Path | None,
    data: Path | None,
    report: Path | None,
    by: str | None,
    reject: tuple[str, ...],
    formats: tuple[str, ...],
    tracking_uri: str,
    **plain: Any,
) -> None:
    """Make a labelled synthetic image set with a trained model; run again after an interruption, it goes on.

    OUT gets Parquet shards and dataset.json, a dataset card (README.md) and manifest.json.

    \b
    Examples:
      faceforge generate --model models:/faceforge@champion --per-class 500 --out work/synthetic
      faceforge generate --model work/model/bundle --balance work/data --reject labels --out work/added
      faceforge generate --model models:/faceforge/3 --count 100000 --format webdataset --out work/large
    """
    with steps.guarded():
        from faceforge.synthesis.options import synthesis_config
        from faceforge.synthesis.synthesise import synthesise

        settings = {name: value for name, value in plain.items() if value is not None}
        settings |= {"balance": balance is not None, "reject": reject, "formats": formats}
        settings["by"] = tuple(filter(None, (name.strip() for name in (by or "").split(","))))
        config = synthesis_config(settings)
        made = synthesise(model, out, config, data or balance, report, tracking_uri)
        refused = " · ".join(f"{count:,} refused for {reason}" for reason, count in made.refused.items())
        click.echo(f"{out}: {made.made:,} images by {made.model['name']}{f' · {refused}' if refused else ''}")
        for cell in made.cells[:20]:
            named = ", ".join(f"{column} {label}" for column, label in cell.labels.items()) or "images"
            click.echo(f"  {named}: {cell.made:,}")
        if len(made.cells) > 20:
            click.echo(f"  and {len(made.cells) - 20:,} more combinations: see {out / 'manifest.json'}")
