"""`faceforge ...`: finds the commands, one per file of this folder."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

import click

import faceforge
from faceforge.cli.groups import CommandGroup
from faceforge.errors import FaceForgeError, guarded
from faceforge.presets import PRESETS

_COMMANDS = (
    "augment", "doctor", "evaluate", "export", "fid", "generate",
    "ingest", "lineage", "registry", "serve", "train", "tune", "ui", "usefulness",
)  # fmt: skip
_PRESETS = "\b\nPresets:\n" + "\n".join(f"  {name:<12} {values['summary']}" for name, values in PRESETS.items())


class _Commands(CommandGroup):
    """Imports a command when it is asked for; packages above this one add commands by entry points."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*_COMMANDS, *_added()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command: click.Command | None = None
        if cmd_name in _COMMANDS:
            command = getattr(import_module(f"faceforge.cli.{cmd_name}"), cmd_name)
        elif point := _added().get(cmd_name):
            command = point.load()
        return command


def _added() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group="faceforge.commands")}


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]}, epilog=_PRESETS)
@click.version_option(faceforge.__version__)
def main() -> None:
    """Train, evaluate, register and use generative models of face images.

    \b
    Examples:
      faceforge ingest photos/ --out work/data --preset faces64
      faceforge train --data work/data --out work/model --preset faces64
      faceforge pipeline run --source toyfaces --preset toy
    """
    with guarded():
        for argument in sys.argv[1:]:
            if argument != argument.encode(errors="replace").decode():
                raise FaceForgeError(f"{argument!r} is not valid UTF-8; rename the file or folder")


if __name__ == "__main__":
    sys.exit(main())
