"""The report's tables on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from stepnav.measure.report.tables import accuracy_table, brief_tables, coverage_tables
from stepnav.measure.report.text_table import TextTable
from stepnav.measure.summary import SummaryRow


def print_summary(console: Console, summary: Sequence[SummaryRow]) -> None:
    """Print the main table: whole where it fits and in a pipe, else with fewer columns.

    What was looked at besides follows.
    """
    print_table(console, accuracy_table(summary), *brief_tables(summary))
    for table in coverage_tables(summary):
        print_table(console, table)


def print_table(console: Console, *forms: TextTable) -> None:
    """Print the first form of a table that fits, or one record per row where none does.

    Nothing is ever cut: rich would leave out digits and the ends of names.

    Args:
      console: a pipe gets the first form, however wide.
      forms: the same table, with fewer columns each time; at least one.
    """
    if not console.is_terminal:
        console = Console(file=console.file, width=table_width(forms[0]))
    for table in forms:
        if table_width(table) <= console.width:
            console.print(rich_table(table))
            return
    console.print(records(forms[0]))


def records(table: TextTable) -> Text:
    """Return a table as one record per row: its name, and below it a line per column."""
    width = max(map(cell_len, table.header))
    text = Text(table.title, "bold", overflow="fold")
    for name, *cells in table.rows:
        text.append(f"\n {name}", "not dim")
        for heading, cell in zip(table.header[1:], cells):
            text.append("\n   " + set_cell_size(heading, width), "not bold dim")
            text.append(f"  {cell}", "not bold")
    return text


def table_width(table: TextTable) -> int:
    """Return how many columns a table needs on the terminal."""
    columns = zip(table.header, *table.rows)
    return sum(max(map(cell_len, column)) + 2 for column in columns)


def rich_table(table: TextTable) -> RichTable:
    """Return a table for the terminal."""
    rich = RichTable(title=table.title, title_justify="left", title_style="bold", box=None)
    for heading, is_text in zip(table.header, table.is_text):
        rich.add_column(
            Text(heading), justify="left" if is_text else "right", header_style="bold dim",
            no_wrap=True,
        )  # fmt: skip
    for cells in table.rows:
        rich.add_row(*(Text(cell) for cell in cells))
    return rich
