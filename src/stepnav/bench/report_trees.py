"""One page that holds every tree of a run, and loads nothing.

The trees of a problem are one compressed text in the page, unpacked by the browser when the problem
is opened: steps that strategies share are stored once. A page above `MAX_PAGE_BYTES` leaves out the
largest of them and says so.
"""

from __future__ import annotations

import html
import zlib
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence

from stepnav.bench.report_problems import ProblemList, group_text, mark
from stepnav.bench.rows import ResultRow
from stepnav.core.outcome import SearchResult
from stepnav.view.clean import clean_line
from stepnav.view.document import asset, document
from stepnav.view.page import question_html, tree_script, tree_style, tree_view

MAX_PAGE_BYTES = 20_000_000
_SHELL_BYTES = 700
"""About what one problem takes without its trees, its marks and question left out."""

MAX_QUESTION = 160
"""Characters of the question in the list."""


def trees_page(
    results: Iterable[SearchResult],
    rows: Sequence[ResultRow],
    *,
    title: str,
    back: str,
    max_bytes: int = MAX_PAGE_BYTES,
) -> str:
    """Return the page.

    Args:
      results: the searches of the rows.
      rows: finished searches, in the order of the page.
      title: of the page.
      back: file name of the report.
      max_bytes: size that the page stays below.
    """
    by_id = {result.search_id: result for result in results}
    listed = ProblemList.of(rows)
    shells, packed = {}, {}
    for problem_id, by_group in listed.problems.items():
        members = [row for rows in by_group.values() for row in rows if row.search_id in by_id]
        shells[problem_id] = _summary(problem_id, by_group, by_id)
        question = question_html(by_id[members[0].search_id].tree, "p") if members else ""
        searches = [_search(by_id[row.search_id], row) for row in members]
        packed[problem_id] = pack(question + "".join(searches))
    style, script = tree_style() + asset(__package__, "trees.css"), _script()
    taken = sum(len(text.encode()) + _SHELL_BYTES for text in (*shells.values(), style, script))
    kept = smallest(packed, max_bytes - taken)
    body = "".join(
        f'<details class="problem" id="{html.escape(problem_id)}">{shell}'
        f'<div class="body">{"" if problem_id in kept else _LEFT_OUT}</div>'
        + (f'<script type="text/plain">{packed[problem_id]}</script>' if problem_id in kept else "")
        + "</details>\n"
        for problem_id, shell in shells.items()
    )
    head = (
        f'<h1>{html.escape(title)}</h1>\n<p><a href="{back}">Report</a>. Open a problem for its '
        "trees. "
        + (f"{len(packed) - len(kept)} problems are without. " if len(kept) < len(packed) else "")
        + '<input type="search" id="filter" placeholder="Filter problems" '
        'aria-label="Filter problems"></p>\n'
    )
    return document(title, head + body, style=style, script=script)


_LEFT_OUT = (
    "<p>These trees are left out to keep the page small; "
    "<code>stepnav show RUN --problem ID --strategy NAME --page FILE</code> makes a page of one.</p>"
)


def pack(text: str) -> str:
    """Return text compressed (zlib) and in base64; neither `<` nor a quote can be in it."""
    return b64encode(zlib.compress(text.encode(), 9)).decode()


def smallest(packed: Mapping[str, str], room: int) -> set[str]:
    """Return the keys of the most texts that fit into a number of bytes."""
    kept = set()
    for key in sorted(packed, key=lambda key: len(packed[key])):
        room -= len(packed[key])
        if room < 0:
            break
        kept.add(key)
    return kept


def _script() -> str:
    return tree_script() + asset(__package__, "trees.js")


def _summary(
    problem_id: str,
    by_group: Mapping[tuple[str, int | None], Sequence[ResultRow]],
    results: Mapping[str, SearchResult],
) -> str:
    """Return the line of a problem: its id, the beginning of its question, who was right."""
    found = [results[row.search_id] for rows in by_group.values() for row in rows
             if row.search_id in results]  # fmt: skip
    question = clean_line(found[0].tree.problem.question) if found else ""
    if len(question) > MAX_QUESTION:
        question = question[:MAX_QUESTION].rstrip() + "\N{HORIZONTAL ELLIPSIS}"
    marks = []
    for group, rows in by_group.items():
        sign, kind, _ = mark(rows)
        marks.append(f'<span class="{kind}">{sign} {html.escape(group_text(group))}</span>')
    return (
        f"<summary><b>{html.escape(clean_line(problem_id))}</b> "
        f'<span class="brief-question">{html.escape(question)}</span>'
        f'<span class="marks">{"".join(marks)}</span></summary>'
    )


def _search(result: SearchResult, row: ResultRow) -> str:
    """Return one search, folded."""
    sign, kind, _ = mark([row])
    name = group_text(row.group) + (f", repeat {row.repeat}" if row.repeat else "")
    answer = "none" if row.answer is None else clean_line(row.answer)
    shown = (
        answer if len(answer) <= MAX_QUESTION else answer[:MAX_QUESTION] + "\N{HORIZONTAL ELLIPSIS}"
    )
    return (
        f'<details class="search" id="{html.escape(result.search_id)}"><summary>'
        f'<b class="{kind}">{sign} {html.escape(name)}</b> '
        f'<span class="faint">{html.escape(shown)}</span></summary>'
        f"{tree_view(result.tree, result=result, is_correct=row.correct)}</details>\n"
    )
