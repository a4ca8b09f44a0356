"""`faceforge generate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faceforge.cli.options import out_option, tracking_uri_option
from faceforge.errors import guarded

if TYPE_CHECKING:
    from faceforge.synthesis.manifest import Manifest

_folder = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.option(
    "--model",
    required=True,
    help="NAME (its champion), models:/NAME@ALIAS, models:/NAME/VERSION, a bundle folder, or FILE.onnx.",
)
@out_option
@click.option("--count", type=int, help="Number of images in all.")
@click.option("--per-class", type=int, help="Number of images of every class, or combination of classes of --by.")
@click.option("--balance", type=_folder, metavar="DATASET", help="Generate what DATASET needs for equal class sizes.")
@click.option("--target", type=int, help="Class size that --balance fills up to; default: size of the largest class.")
@click.option("--by", metavar="A,B", help="Label columns whose combinations count as classes; default: all columns.")
@click.option("--seed", type=int, help="Random seed; default 0.")
@click.option("--truncation", type=float, help="0 to 1: smaller = more typical, less varied faces; default 1.")
@click.option(
    "--reject",
    multiple=True,
    type=click.Choice(["labels", "copies"]),
    help="Reject images whose label a classifier does not confirm (labels), or that nearly repeat a training image "
    "(copies); repeatable.",
)
@click.option("--drop-worst", type=float, help="Share of images to reject, those that the discriminator rates lowest.")
@click.option("--max-tries", type=int, help="Images to generate at most per accepted image; default 20.")
@click.option("--data", type=_folder, metavar="DATASET", help="Real images for the checks; default: --balance.")
@click.option(
    "--report", type=_folder, help="Output folder of the model's evaluation; default: the one kept with the model."
)
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(["folder", "webdataset", "tfds", "coco"]),
    help="Write this format too, in a sub-folder; repeatable.",
)
@click.option("--license", help="Licence of the set in its card, as the hub writes it, for example cc-by-4.0.")
@click.option("--push", "repository", metavar="USER/NAME", help="Upload the set to this dataset repository of the hub.")
@click.option("--public", is_flag=True, help="Make a new repository of --push public; without it, it is private.")
@tracking_uri_option
def generate(
    model: str,
    out: Path,
    balance: Path | None,
    data: Path | None,
    report: Path | None,
    by: str | None,
    reject: tuple[str, ...],
    formats: tuple[str, ...],
    repository: str | None,
    public: bool,
    tracking_uri: str,
    **plain: Any,
) -> None:
    """Generate a labelled synthetic image set; after an interruption, the same command continues.

    OUT gets Parquet shards and dataset.json, a report (report.html), a dataset card (README.md) and manifest.json.

    \b
    Examples:
      faceforge generate --model models:/toyfaces@champion --per-class 500 --out work/synthetic
      faceforge generate --model work/model/bundle --balance work/data --reject labels --out work/added
      faceforge generate --model models:/toyfaces/3 --count 100000 --format webdataset --out work/large
    """
    with guarded():
        from faceforge.steps.generate import run_generate
        from faceforge.synthesis.hub import check_hub, push

        if repository:
            check_hub()
        settings = {name: value for name, value in plain.items() if value is not None}
        settings |= {"balance": balance is not None, "reject": reject, "formats": formats}
        settings["by"] = tuple(filter(None, (name.strip() for name in (by or "").split(","))))
        manifest = run_generate(
            model=model,
            data=data or balance,
            settings=settings,
            out=out,
            tracking=None,
            report=report,
            registry_uri=tracking_uri or None,
        )
        _print_summary(out, manifest)
        if repository:
            click.echo(f"uploaded to {push(out, repository, public)}")


def _print_summary(out: Path, manifest: Manifest) -> None:
    rejected = " · ".join(f"{count:,} refused for {reason}" for reason, count in manifest.refused.items())
    click.echo(f"{out}: {manifest.made:,} images by {manifest.model['name']}{f' · {rejected}' if rejected else ''}")
    for cell in manifest.cells[:20]:
        labels = ", ".join(f"{column} {label}" for column, label in cell.labels.items()) or "images"
        click.echo(f"  {labels}: {cell.made:,}")
    if len(manifest.cells) > 20:
        click.echo(f"  and {len(manifest.cells) - 20:,} more combinations: see {out / 'manifest.json'}")
    for warning in manifest.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"report: {out / 'report.html'}")
