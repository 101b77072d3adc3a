"""A table of text cells, and its Markdown and HTML forms.

The same cells go into these and onto the terminal (`terminal.py`), so they cannot disagree. Labels
and options are escaped for each.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table of finished text.

    Attributes:
      title: its heading.
      header: one heading per column.
      rows: cells, as many per row as there are headings.
      is_text: per column, whether it is text (aligned left) and not a number.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    is_text: tuple[bool, ...]


def markdown_table(table: TextTable) -> str:
    """Return a table in GitHub's Markdown, without its title."""
    rule = [":--" if is_text else "--:" for is_text in table.is_text]
    lines = [_markdown_row(table.header), "| " + " | ".join(rule) + " |"]
    return "\n".join([*lines, *(_markdown_row(row) for row in table.rows)]) + "\n"


def markdown_report(
    title: str, subtitle: str, tables: Sequence[TextTable], picture: str, notes: Sequence[str]
) -> str:
    """Return a report in Markdown; its picture stands below the first table."""
    parts = [f"# {title}\n", subtitle + "\n"]
    for position, table in enumerate(tables):
        parts += [f"## {table.title}\n", markdown_table(table)]
        if position == 0:
            parts.append(picture + "\n")
    parts.append("## How to read this\n")
    parts.append("".join(f"- {note}\n" for note in notes))
    return "\n".join(parts)


def html_table(table: TextTable) -> str:
    """Return a table as HTML, without its title."""
    kinds = ["text" if is_text else "number" for is_text in table.is_text]

    def row(cells: Sequence[str], tag: str) -> str:
        inner = "".join(
            f'<{tag} class="{kind}">{html.escape(cell)}</{tag}>' for kind, cell in zip(kinds, cells)
        )
        return f"<tr>{inner}</tr>\n"

    body = "".join(row(cells, "td") for cells in table.rows)
    head = row(table.header, "th")
    return (
        f'<div class="wide"><table>\n<thead>{head}</thead>\n<tbody>{body}</tbody>\n</table></div>\n'
    )


def _markdown_row(cells: Sequence[str]) -> str:
    """Return one row; what Markdown or HTML would read as markup is escaped."""
    escaped = [re.sub(r"([\\|`*<>\[\]])", r"\\\1", " ".join(cell.split())) for cell in cells]
    return "| " + " | ".join(escaped) + " |"
