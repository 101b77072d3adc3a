"""The list of a run's problems: who was right and who was wrong, with links to the trees."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from stepnav.measure.rows import ResultRow
from stepnav.measure.summary import Group
from stepnav.view.clean import clean_line


@dataclass(frozen=True, slots=True)
class ProblemList:
    """The rows of a run by problem.

    Attributes:
      groups: (label, budget) of each column, in the order of the rows.
      problems: problem id -> group -> its rows, one per repeat; by rising number.
    """

    groups: tuple[Group, ...]
    problems: Mapping[str, Mapping[Group, Sequence[ResultRow]]]

    @classmethod
    def of(cls, rows: Sequence[ResultRow]) -> ProblemList:
        """Return the list of some rows."""
        problems: dict[str, dict[Group, list[ResultRow]]] = {}
        for row in rows:
            problems.setdefault(row.problem_id, {}).setdefault(row.group, []).append(row)
        ordered = {name: problems[name] for name in sorted(problems, key=natural)}
        return cls(tuple(dict.fromkeys(row.group for row in rows)), ordered)


def natural(problem_id: str) -> tuple[str, int]:
    """Return a key that sorts `task-2` before `task-10`."""
    head = problem_id.rstrip("0123456789")
    number = problem_id[len(head) :]
    return head, int(number) if len(number) in range(1, 20) else 0


def problems_html(rows: Sequence[ResultRow], *, trees: str | None = None) -> str:
    """Return the list as HTML; `report.js` compares two of its columns.

    Args:
      rows: finished searches.
      trees: file name of the page that holds the trees; None makes no links.
    """
    listed = ProblemList.of(rows)
    heads = "".join(
        f'<th class="mark"><button aria-pressed="false">{html.escape(group_text(group))}</button>'
        "</th>"
        for group in listed.groups
    )
    body = "".join(
        f"<tr><th>{_link(html.escape(clean_line(problem_id)), problem_id, trees)}</th>"
        + "".join(_cell(by_group.get(group, ()), trees) for group in listed.groups)
        + "</tr>\n"
        for problem_id, by_group in listed.problems.items()
    )
    return (
        '<p id="compared" role="status"></p>\n<div class="wide"><table class="problems">\n'
        f"<thead><tr><th>problem</th>{heads}</tr></thead>\n<tbody>\n{body}</tbody>\n"
        "</table></div>\n"
    )


def group_text(group: Group) -> str:
    """Return a strategy and its budget in one phrase."""
    label, budget = group
    return label if budget is None else f"{label} at {budget:,}"


def mark(rows: Sequence[ResultRow]) -> tuple[str, str, float | None]:
    """Return sign, CSS class and share of right answers of one strategy's searches of a problem.

    Args:
      rows: its repeats; may be empty. The share is None where nothing is graded.
    """
    graded = [row.correct for row in rows if row.correct is not None]
    if not graded:
        return ("?" if rows else "-"), "faint", None
    share = sum(graded) / len(graded)
    kind = "good" if share == 1 else "bad" if share == 0 else "neutral"
    if len(rows) == 1:
        return ("\N{CHECK MARK}" if share else "\N{MULTIPLICATION X}"), kind, share
    return f"{sum(graded)}/{len(graded)}", kind, share


def _cell(rows: Sequence[ResultRow], trees: str | None) -> str:
    sign, kind, share = mark(rows)
    known = "" if share is None else f" data-r={share:.4g}"
    inner = _link(sign, rows[0].search_id, trees) if rows else sign
    return f'<td class="mark {kind}"{known}>{inner}</td>'


def _link(inner: str, anchor: str, trees: str | None) -> str:
    if trees is None:
        return inner
    return f'<a href="{trees}#{html.escape(quote(anchor, safe="/:"))}">{inner}</a>'
