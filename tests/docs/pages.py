"""Reads the code blocks of README.md and docs/: shell commands, Python, and everything else."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
MARKS = tomllib.loads(Path(__file__).with_name("commands.toml").read_text())
_PROGRAM = re.compile(rf"(?:[A-Z_]+=\S* )*(?:{'|'.join(map(re.escape, MARKS['programs']))})(?=[ :]|$)")
_FENCE = re.compile(r"^ *```(\w*)")


@dataclass(frozen=True)
class Block:
    """A code block of a page.

    Attributes:
        page: path relative to the repository.
        line: number of its first line of code.
        language: of a fenced block; empty for an indented one.
        text: its lines.
    """

    page: str
    line: int
    language: str
    text: str

    @property
    def is_shell(self) -> bool:
        """Whether its first line starts with a known program."""
        return self.language in ("", "sh", "bash") and bool(_PROGRAM.match(self.text))


@dataclass(frozen=True)
class Command:
    """A shell command of a page, continuation lines joined."""

    page: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"

    @property
    def reason(self) -> str:
        """Why the test does not run it; empty if it does."""
        return next(
            (
                mark["reason"]
                for mark in MARKS["not_run"]
                if re.search(mark["command"], self.text) and re.search(mark.get("page", ""), self.page)
            ),
            "",
        )


def blocks(page: str) -> Iterator[Block]:
    """The fenced and the indented code blocks of a page, in order; an indented one ends at a blank line."""
    lines = (ROOT / page).read_text().split("\n")
    language: str | None = None
    start, held = 0, list[str]()

    def block() -> Block:
        shortest = min((len(line) - len(line.lstrip()) for line in held if line.strip()), default=0)
        return Block(page, start, language or "", "\n".join(line[shortest:] for line in held).strip("\n"))

    for number, line in enumerate([*lines, ""], 1):
        fence = _FENCE.match(line)
        if fence and language is None:
            language, start, held = fence[1], number + 1, []
        elif fence:
            yield block()
            language, held = None, []
        elif language is not None:
            held.append(line)
        elif line.startswith("    ") and (held or not lines[number - 2].strip()):
            start, held = (start if held else number), [*held, line]
        elif held:
            yield block()
            held = []


def commands(page: str) -> list[Command]:
    """The shell commands of a page, in order."""
    found = []
    for block in blocks(page):
        if block.is_shell:
            text, first = "", block.line
            for number, line in enumerate(block.text.split("\n"), block.line):
                first = first if text else number
                text += line.removesuffix("\\")
                if line.endswith("\\"):
                    continue
                if text.strip():
                    found.append(Command(page, first, text.strip()))
                text = ""
    return found


def unknown(page: str) -> list[str]:
    """Code blocks that are neither shell commands, nor Python, nor listed in `commands.toml`."""
    listed = MARKS["listings"].get(page, [])
    return [
        f"{page}:{block.line}: {block.text.splitlines()[0]}"
        for block in blocks(page)
        if not (block.is_shell or block.language == "python" or any(block.text.startswith(text) for text in listed))
    ]
