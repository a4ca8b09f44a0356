"""Groups of commands, and how their help lists them."""

from __future__ import annotations

import click

_NO_LIMIT = 1_000


class CommandGroup(click.Group):
    """A group whose help has the whole first sentence of every command, where click cuts it to one line."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the list of commands."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, command.get_short_help_str(_NO_LIMIT)) for name, command in commands if command]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
