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

from stepnav.core.outcome import SearchResult
from stepnav.core.tree import Tree
from stepnav.measure.report.problems import ProblemList, group_text, mark
from stepnav.measure.rows import ResultRow
from stepnav.measure.summary import Group
from stepnav.view.clean import clean_line
from stepnav.view.document import asset, document
from stepnav.view.page import question_html, question_text, tree_script, tree_style, tree_view

MAX_PAGE_BYTES = 20_000_000
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
    summaries, packed = {}, {}
    for problem_id, by_group in ProblemList.of(rows).problems.items():
        members = [row for rows in by_group.values() for row in rows if row.search_id in by_id]
        trees = [by_id[row.search_id].tree for row in members[:1]]
        summaries[problem_id] = _summary(problem_id, by_group, trees)
        searches = [_search(by_id[row.search_id], row) for row in members]
        packed[problem_id] = pack("".join([question_html(tree, "p") for tree in trees] + searches))
    bare = _page(summaries, {}, title, back)  # what says that trees are missing is longer than tags
    return _page(summaries, smallest(packed, max_bytes - len(bare.encode())), title, back)


def _page(summaries: Mapping[str, str], packed: Mapping[str, str], title: str, back: str) -> str:
    """Return the page with those trees that are packed."""
    body = "".join(
        f'<details class="problem" id="{html.escape(problem_id)}">{summary}'
        + (
            f'<div class="body"></div><script type="text/plain">{packed[problem_id]}</script>'
            if problem_id in packed
            else f'<div class="body">{_LEFT_OUT}</div>'
        )
        + "</details>\n"
        for problem_id, summary in summaries.items()
    )
    missing = len(summaries) - len(packed)
    note = f"{missing} of {len(summaries)} are without theirs. " if missing else ""
    head = (
        f'<h1>{html.escape(title)}</h1>\n<p><a href="{back}">Report</a>. Open a problem for its '
        f'trees. {note}<input type="search" id="filter" placeholder="Filter problems" '
        'aria-label="Filter problems"></p>\n'
    )
    style = tree_style() + asset(__package__, "trees.css")
    script = tree_script() + asset(__package__, "trees.js")
    return document(title, head + body, style=style, script=script)


_LEFT_OUT = (
    "<p>These trees are left out to keep the page small; "
    "<code>stepnav show RUN --problem ID --strategy NAME --page FILE</code> makes a page of one."
    "</p>"
)


def pack(text: str) -> str:
    """Return text compressed (zlib) and in base64; neither `<` nor a quote can be in it."""
    return b64encode(zlib.compress(text.encode(), 9)).decode()


def smallest(packed: Mapping[str, str], room: int) -> dict[str, str]:
    """Return the most texts that fit into a number of bytes."""
    kept = {}
    for key in sorted(packed, key=lambda key: len(packed[key])):
        room -= len(packed[key])
        if room < 0:
            break
        kept[key] = packed[key]
    return kept


def _summary(
    problem_id: str, by_group: Mapping[Group, Sequence[ResultRow]], trees: Sequence[Tree]
) -> str:
    """Return the line of a problem: its id, the beginning of its question, who was right."""
    question = clean_line(question_text(trees[0])) if trees else ""
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
