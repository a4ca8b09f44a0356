from __future__ import annotations

from collections.abc import Iterator

import click
from click.testing import CliRunner

from faceforge.cli.main import main


def groups(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command that has commands."""
    yield path
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        if isinstance(command, click.Group):
            yield from groups(command, (*path, name))


def test_no_group_cuts_what_it_says_of_a_command() -> None:
    found = list(groups(main))
    assert ("pipeline", "synthesis") in found
    for path in found:
        listed = CliRunner().invoke(main, [*path, "--help"]).output.partition("Commands:\n")[2]
        assert listed, path
        assert "..." not in listed, path


def test_a_long_sentence_goes_on_in_the_next_line_of_its_column() -> None:
    output = CliRunner().invoke(main, ["--help"]).output
    assert "  augment     Enlarge the training split of an image set: mirror images,\n" in output
    assert "\n              jittered copies, balanced classes.\n" in output
