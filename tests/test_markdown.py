from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceforge.markdown import code, plain

markdown = pytest.importorskip("markdown_it", reason="markdown-it-py is not installed")
HOSTILE = st.lists(
    st.sampled_from(
        [
            *("<img src=x onerror=alert(1)>", "![a](http://b)", "[a](b)", "`", "``", "\\", "|", "*", "$", "&lt;", "\n"),
            *("</script>", "<", ">", "]", "(", "http://c", "é", "a b", "_", "~~", ":red[x]", "&#60;", "\u2028", "---"),
        ]
    )
).map("".join)


class _Shown(HTMLParser):
    """What a page shows, and the tags that it has."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.tags = "", set[str]()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def shown(text: str) -> _Shown:
    return _Shown(markdown.MarkdownIt("commonmark").enable("table").render(text))


@given(HOSTILE)
def test_plain_text_has_no_effect(text: str) -> None:
    page = shown(f"start {plain(text)} end")
    assert page.tags <= {"p", "em", "strong"}
    assert page.text.split() == f"start {text} end".split() or page.tags & {"em", "strong"}


@given(HOSTILE)
def test_a_table_keeps_its_cells(text: str) -> None:
    page = markdown.MarkdownIt("commonmark").enable("table").render(f"| a | b |\n|---|---|\n| {plain(text)} | x |")
    assert page.count("<td>") == 2


@given(HOSTILE)
def test_code_ends_where_the_text_ends(text: str) -> None:
    page = shown(f"start {code(text)} end")
    assert page.tags == {"p", "code"}
    assert page.text.startswith("start")
    assert page.text.rstrip().endswith("end")
