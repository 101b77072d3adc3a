from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from stepnav.measure.report.tables import brief_tables, report_tables
from stepnav.measure.report.terminal import print_summary, print_table
from stepnav.measure.summary import summarise
from tests.measure.rows_for_tests import PLAN
from tests.measure.test_report import RUN, SUMMARY


@pytest.mark.parametrize(("width", "is_whole"), [(80, False), (100, False), (200, True)])
def test_the_terminal_table_fits(width: int, is_whole: bool) -> None:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    print_summary(console, SUMMARY)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) == 2 + len(SUMMARY), "no cell is broken into lines"
    assert ("won : lost" in lines[1]) == is_whole
    assert all("…" not in line for line in lines)


LONG = "weighted_vote:samples=64:temperature=0.7"


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_no_table_cuts_a_digit_or_a_name(width: int) -> None:
    rows = [replace(row, label=LONG if row.label == "hgs" else "cot") for row in RUN]
    summary = summarise(rows, baseline="cot")
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    print_summary(console, summary)
    for table in report_tables(summary, PLAN):
        print_table(console, table)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert all(len(line) <= width for line in text.splitlines())
    joined = "".join(text.split())
    for table in [brief_tables(summary)[-1], *report_tables(summary, PLAN)]:
        for row in table.rows:
            for cell in row:
                assert "".join(cell.split()) in joined, cell


def test_narrower_terminals_get_fewer_columns() -> None:
    rows = [replace(row, budget=None) for row in RUN if row.budget == 250]
    summary = summarise(rows, baseline="cot")
    for width, headings in [
        (40, 1), (60, 4), (66, 6), (200, 12)
    ]:  # fmt: skip
        console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
        print_summary(console, summary)
        text = console.file.getvalue()  # type: ignore[attr-defined]
        found = re.split(r" {2,}", text.splitlines()[1].strip())
        assert len(found) == headings, f"{width}: {found}"
        assert ("difference" in text) == (width != 60)


def test_a_pipe_gets_the_whole_table() -> None:
    console = Console(file=io.StringIO())
    print_summary(console, SUMMARY)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "won : lost" in text
    assert "\x1b" not in text
    assert len(text.splitlines()) == 2 + len(SUMMARY)
