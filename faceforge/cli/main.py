"""`faceforge ...`: thin, one function per command."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click

import faceforge
from faceforge.cli.doctor import doctor
from faceforge.cli.fid import fid
from faceforge.cli.generate import generate
from faceforge.cli.lineage import lineage
from faceforge.cli.registry import registry
from faceforge.cli.serve import serve
from faceforge.cli.ui import ui
from faceforge.compute.workers import is_chief
from faceforge.config import preset_names, resolve
from faceforge.presets import PRESETS
from faceforge.steps import steps

Command = Callable[..., None]
_PRESETS = "\b\nPresets:\n" + "\n".join(f"  {name:<10}{values['summary']}" for name, values in PRESETS.items())


class _Commands(click.Group):
    """Adds the commands that other packages offer, found by entry point so that this one need not know them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *(point.name for point in _offered())})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for point in _offered():
            if point.name == cmd_name:
                command: click.Command = point.load()
                return command
        return super().get_command(ctx, cmd_name)


def _offered() -> Iterator[Any]:
    return iter(entry_points(group="faceforge.commands"))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]}, epilog=_PRESETS)
@click.version_option(faceforge.__version__)
def main() -> None:
    """From a folder of face images to a tracked, judged and registered generative model.

    \b
    Examples:
      faceforge ingest photos/ --out work/data --set ingest.image_size=64
      faceforge train --data work/data --out work/model --preset faces64
      faceforge pipeline run --source toyfaces --preset toy
    """


def _configured(command: Command) -> Command:
    command = click.option(
        "--set", "settings", multiple=True, metavar="SECTION.FIELD=VALUE", help="Override a setting."
    )(command)
    return click.option(
        "--preset", default="toy", show_default=True, type=click.Choice(preset_names()), help="Named settings."
    )(command)


def _tracked(command: Command) -> Command:
    command = click.option("--experiment", default="faceforge", show_default=True, help="MLflow experiment.")(command)
    command = click.option("--run", "run_key", default="", help="Name of the MLflow run; default: that of --out.")(
        command
    )
    return click.option(
        "--tracking-uri", envvar="MLFLOW_TRACKING_URI", default="", help="Log to this MLflow; default: do not log."
    )(command)


_out = click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder to write.")
_data = click.option("--data", required=True, type=click.Path(path_type=Path), help="Image set made by ingest.")
_bundle = click.option("--bundle", required=True, type=click.Path(path_type=Path), help="Folder of a model bundle.")


@main.command()
@click.argument("source")
@_out
@click.option(
    "--labels", default="", help="Label columns to keep (a,b), or a CSV or Parquet file with a file-name column."
)
@click.option(
    "--labels-from-name", default="", metavar="PATTERN", help="Labels are fields of the file names; quote it."
)
@_configured
@_tracked
def ingest(
    source: str,
    out: Path,
    labels: str,
    labels_from_name: str,
    preset: str,
    settings: tuple[str, ...],
    **tracking: str,
) -> None:
    """Make an image set of SOURCE.

    \b
    SOURCE is one of
      toyfaces            drawn faces; toyfaces:neutral=8,glasses=1 for uneven classes
      digits              the handwritten digits that come with scikit-learn
      tfds:NAME           TensorFlow Datasets; ingest.data_dir names the folder of prepared ones
      a folder            of images, by sub-folder, table, file name or CelebA's lists
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
    with steps.guarded():
        images = steps.ingest(source, labels, preset, _joined(settings), out, _tracking(out, tracking))
        info = images.info
        counts = " · ".join(f"{split} {count.total:,}" for split, count in info.counts.items())
        click.echo(f"{out}: {counts} · {info.reject_count:,} rejected · {info.duplicate_count:,} duplicates")
        for note in info.notes:
            click.echo(f"  note: {note}")
        for reason, paths in _by_reason(info.rejects):
            more = f" and {len(paths) - 3:,} more" if len(paths) > 3 else ""
            click.echo(f"  rejected, {reason}: {', '.join(paths[:3])}{more}")
        for column, classes in info.labels.items():
            click.echo(f"  {column}: {', '.join(classes)}")


@main.command()
@_data
@_out
@_configured
@_tracked
def augment(data: Path, out: Path, preset: str, settings: tuple[str, ...], **tracking: str) -> None:
    """Enlarge the training split of an image set: mirror images, jittered copies, balanced classes.

    \b
    Example:
      faceforge augment --data work/data --out work/more --set augment.flip=true --set augment.balance=gender
    """
    with steps.guarded():
        images = steps.augment(data, preset, _joined(settings), out, _tracking(out, tracking))
        click.echo(f"{out}: train {images.info.counts['train'].total:,}")


@main.command()
@_data
@click.option("--out", default=Path("model"), type=click.Path(file_okay=False, path_type=Path), show_default=True)
@click.option("--labels", default=None, help="Condition on these columns (a,b); default: all; '' = unconditional.")
@_configured
@_tracked
def train(data: Path, out: Path, labels: str | None, preset: str, settings: tuple[str, ...], **tracking: str) -> None:
    """Train a GAN; run again after an interruption, it goes on.

    OUT gets bundle/ (the model), grids/, metrics.jsonl and checkpoints/.

    \b
    Examples:
      faceforge train --data work/data --preset faces64 --labels gender,age_group
      faceforge train --data work/data --out work/model --set train.kimg=20 --tracking-uri sqlite:///mlflow.db
    """
    wanted = _joined(settings)
    if labels is not None:
        wanted += f", train.labels={'+'.join(filter(None, (name.strip() for name in labels.split(','))))}"
    with steps.guarded():
        config = resolve(preset, wanted)
        chief = is_chief()
        with steps.tracked("train", _tracking(out, tracking) if chief else None, system_metrics=True) as run:
            bundle = steps.train_in(data, out, config, run, None)
        if chief:
            click.echo(f"model: {bundle}\nsamples: {sorted((out / 'grids').glob('*.png'))[-1]}")


@main.command()
@_bundle
@_data
@_out
@click.option(
    "--model-name", default="faceforge", show_default=True, help="Whose champion to compare with, if tracked."
)
@click.option(
    "--champion",
    default=None,
    type=click.Path(path_type=Path),
    help="Folder of the bundle to compare with; default: the registry's champion, if tracked.",
)
@_configured
@_tracked
def evaluate(
    bundle: Path,
    data: Path,
    out: Path,
    model_name: str,
    champion: Path | None,
    preset: str,
    settings: tuple[str, ...],
    **tracking: str,
) -> None:
    """Judge a model on the frozen holdout of the image set it was made from.

    OUT gets report.html, report.json, summary.txt and samples.png.

    \b
    Examples:
      faceforge evaluate --bundle work/model/bundle --data work/data --out work/report
      faceforge evaluate --bundle new/bundle --champion old/bundle --data work/data --out work/report
    """
    with steps.guarded():
        steps.evaluate(
            bundle,
            data,
            preset,
            _joined(settings),
            out,
            model_name,
            _tracking(out, tracking),
            champion=champion,
        )
        click.echo((out / "summary.txt").read_text().rstrip())


@main.command()
@_bundle
@_out
@_tracked
def export(bundle: Path, out: Path, **tracking: str) -> None:
    """Write a model as bundle, Keras, HDF5, ONNX and SavedModel, with sheets of samples.

    \b
    Example:
      faceforge export --bundle work/model/bundle --out work/export
    """
    with steps.guarded():
        for name, path in steps.export(bundle, out, _tracking(out, tracking)).items():
            click.echo(f"{name:<12} {path}")


main.add_command(doctor)
main.add_command(fid)
main.add_command(generate)
main.add_command(lineage)
main.add_command(registry)
main.add_command(serve)
main.add_command(ui)


def _by_reason(rejects: Sequence[Any]) -> list[tuple[str, list[str]]]:
    """The ten most frequent reasons, and what was rejected for each."""
    found: dict[str, list[str]] = {}
    for reject in rejects:
        found.setdefault(reject.reason, []).append(reject.path)
    return sorted(found.items(), key=lambda item: -len(item[1]))[:10]


def _joined(settings: tuple[str, ...]) -> str:
    return ", ".join(settings)


def _tracking(out: Path, options: dict[str, str]) -> steps.Tracking | None:
    if not options["tracking_uri"]:
        return None
    key = options["run_key"] or re.sub(r"[^\w.-]", "-", out.resolve().name)
    return steps.Tracking(options["tracking_uri"], options["experiment"], key)


if __name__ == "__main__":
    sys.exit(main())
