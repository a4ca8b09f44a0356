"""How commands tell what the user can mend."""

from __future__ import annotations

from typing import Any

import click

from faceforge.errors import EXIT_CODE, FaceForgeError


class OneLineErrors(click.Group):
    """Prints a `FaceForgeError` as one line and exits with its code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command."""
        try:
            return super().invoke(ctx)
        except FaceForgeError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(getattr(error, "exit_code", EXIT_CODE))
