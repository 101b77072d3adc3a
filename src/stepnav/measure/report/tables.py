"""The report's tables as text cells, the same in every form."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from stepnav.measure.plan import BenchPlan
from stepnav.measure.report.text_table import TextTable
from stepnav.measure.stats.intervals import Accuracy, Interval
from stepnav.measure.summary import SummaryRow

MISSING = "-"
"""Stands where a number is not known or does not apply."""

UPPER_BOUND = "(upper bound: the reward read the answers)"


def report_tables(summary: Sequence[SummaryRow], plan: BenchPlan) -> list[TextTable]:
    """Return the tables of a report, in reading order."""
    tables = [
        accuracy_table(summary),
        _table("Cost per problem", summary, _COST_COLUMNS),
        _table("What the searches did", summary, _SEARCH_COLUMNS),
        _options_table(summary),
        _settings_table(plan),
    ]
    if any(row.pass_at_k for row in summary):
        tables.insert(1, _pass_table(summary))
    tables[1:1] = coverage_tables(summary)
    if told := [row for row in summary if row.right]:
        tables.insert(-2, _table("P(right)", told, _RIGHT_COLUMNS))
    return tables


def accuracy_table(summary: Sequence[SummaryRow]) -> TextTable:
    """Return the main table: accuracy, interval, difference to the baseline, tests."""
    return _table("Accuracy", summary, _ACCURACY_COLUMNS)


def coverage_tables(summary: Sequence[SummaryRow]) -> list[TextTable]:
    """Return how often a right solution was found, if that was looked at."""
    told = [row for row in summary if row.coverage]
    return [_table("Coverage", told, _COVERAGE_COLUMNS)] if told else []


def brief_tables(summary: Sequence[SummaryRow]) -> list[TextTable]:
    """Return the main table with fewer and fewer columns, for narrow terminals."""
    has_budgets = any(row.budget is not None for row in summary)
    columns = [column for column in _BRIEF_COLUMNS if has_budgets or column[0] != "budget"]
    fewer = [column for column in columns if column[0] not in ("difference", "Holm p")]
    return [_table("Accuracy", summary, columns), _table("Accuracy", summary, fewer)]


def percent(value: float | None) -> str:
    """Return a share in per cent with one digit; what is nearly none or all does not read so."""
    if value is None:
        return MISSING
    known = round(value, 12)  # without what sums leave
    if 0 < known < 0.0005:
        return "<0.1%"
    return ">99.9%" if 0.9995 <= known < 1 else f"{100 * value:.1f}%"


def points(value: float | None) -> str:
    """Return a difference of shares in percentage points, with its sign."""
    return MISSING if value is None else f"{100 * value:+.1f}"


def p_text(p: float | None) -> str:
    """Return a p-value with two significant digits."""
    if p is None:
        return MISSING
    if p == 0:
        return "<1e-300"
    if p < 0.001:
        return f"{p:.1e}"
    return f"{p:.2g}" if p < 0.1 else f"{p:.2f}"


def amount(value: float | None) -> str:
    """Return a cost: whole with thousands marks from 100 on, else with one digit."""
    if value is None:
        return MISSING
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"


def engineering(value: float | None) -> str:
    """Return a large number in powers of a thousand, for instance `3.2 G`."""
    if value is None:
        return MISSING
    for unit in ("", " k", " M", " G", " T", " P"):
        if abs(value) < 999.5:
            return f"{value:.3g}{unit}"
        value /= 1000
    return f"{value:.3g} E"


def _budget_text(budget: int | None) -> str:
    return "none" if budget is None else f"{budget:,}"


def _label_text(row: SummaryRow) -> str:
    return f"{row.label} {UPPER_BOUND}" if row.oracle else row.label


def _interval_text(interval: Interval | None, show: Callable[[float | None], str]) -> str:
    if interval is None:
        return MISSING
    return f"{show(interval.low)} to {show(interval.high)}".replace("% to", " to")


Column = tuple[str, Callable[[SummaryRow], str]]
"""Heading, and how to fill it."""

_TEXTS = frozenset({"strategy", "stop reasons"})
"""Headings of columns of text; the others hold numbers."""


def _mean(heading: str, name: str) -> Column:
    return heading, lambda row: amount(row.means[name])


def _total(name: str) -> Column:
    return name, lambda row: MISSING if row.totals[name] is None else f"{row.totals[name]:,}"


def _share(heading: str, name: str) -> Column:
    return heading, lambda row: percent((row.right or {})[name])


def _versus(row: SummaryRow, name: str) -> Any:
    """Return a field of the comparison; None where there is none."""
    return getattr(row.comparison, name, None)


_NAME_COLUMNS: tuple[Column, ...] = (
    ("strategy", _label_text),
    ("budget", lambda row: _budget_text(row.budget)),
)
_ACCURACY_COLUMNS: tuple[Column, ...] = (
    *_NAME_COLUMNS,
    ("accuracy", lambda row: percent(row.accuracy.value)),
    ("95% interval", lambda row: _interval_text(row.accuracy.interval, percent)),
    ("difference", lambda row: points(_versus(row, "difference"))),
    ("95% interval", lambda row: _interval_text(_versus(row, "interval"), points)),
    ("p", lambda row: p_text(_versus(row, "p"))),
    ("Holm p", lambda row: p_text(row.p_holm)),
    (
        "won : lost",
        lambda row: f"{row.comparison.won} : {row.comparison.lost}" if row.comparison else MISSING,
    ),
    ("correct / total", lambda row: f"{row.accuracy.correct} / {row.accuracy.total}"),
    ("ungraded", lambda row: str(row.accuracy.ungraded)),
    _mean("policy tokens", "policy_tokens"),
)
_BRIEF_COLUMNS: tuple[Column, ...] = (
    *_NAME_COLUMNS,
    *_ACCURACY_COLUMNS[2:5],
    ("Holm p", lambda row: p_text(row.p_holm)),
    _mean("tokens", "policy_tokens"),
)
_COST_COLUMNS: tuple[Column, ...] = (
    *_NAME_COLUMNS,
    _mean("policy tokens", "policy_tokens"),
    _mean("prompt tokens", "policy_prompt_tokens"),
    _mean("of them cached", "policy_cached_tokens"),
    _mean("reward tokens", "reward_tokens"),
    _mean("policy calls", "policy_calls"),
    _mean("reward calls", "reward_calls"),
    ("FLOPs", lambda row: engineering(row.means["flops"])),
    ("wall s, all", lambda row: amount(row.wall_s)),
)
_SEARCH_COLUMNS: tuple[Column, ...] = (
    *_NAME_COLUMNS,
    ("searches", lambda row: f"{row.searches:,}"),
    ("stop reasons", lambda row: ", ".join(f"{why} {n}" for why, n in row.stop_reasons.items())),
    *map(_total, ("iterations", "backtracks", "duplicates", "fallbacks", "failed")),
)
_COVERAGE_COLUMNS: tuple[Column, ...] = (
    *_NAME_COLUMNS,
    ("accuracy", lambda row: percent(row.accuracy.value)),
    ("coverage", lambda row: percent(_coverage(row).value)),
    ("95% interval", lambda row: _interval_text(_coverage(row).interval, percent)),
    ("chosen where found", lambda row: percent(row.chosen)),
    ("found / total", lambda row: f"{_coverage(row).correct} / {_coverage(row).total}"),
    ("undecided", lambda row: str(_coverage(row).ungraded)),
)
_RIGHT_COLUMNS: tuple[Column, ...] = (
    *_NAME_COLUMNS,
    ("searches", lambda row: str((row.right or {})["searches"])),
    _share("mean", "mean"),
    _share("right", "correct"),
    _share("ECE", "ece"),
    _share("ECE if honest", "honest_ece"),
)


def _coverage(row: SummaryRow) -> Accuracy:
    assert row.coverage is not None, "only rows with a coverage are shown"
    return row.coverage


def _table(title: str, summary: Sequence[SummaryRow], columns: Sequence[Column]) -> TextTable:
    """Return a table with one row per row of the summary."""
    return TextTable(
        title,
        tuple(name for name, _ in columns),
        tuple(tuple(fill(row) for _, fill in columns) for row in summary),
        tuple(name in _TEXTS for name, _ in columns),
    )


def _pass_table(summary: Sequence[SummaryRow]) -> TextTable:
    """Return pass@k, where seeds repeat."""

    def value(position: int) -> Column:
        return f"pass@{position + 1}", lambda row: percent(row.pass_at_k[position].value)

    columns = map(value, range(max(len(row.pass_at_k) for row in summary)))
    short: Column = ("too few samples", lambda row: str(row.pass_at_k[-1].short))
    return _table("pass@k", summary, (*_NAME_COLUMNS, *columns, short))


def _options_table(summary: Sequence[SummaryRow]) -> TextTable:
    """Return the options of each strategy, once for all budgets at which they are the same."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for row in summary:
        group = (row.label, row.strategy, _pairs_text(row.options))
        groups.setdefault(group, []).append(_budget_text(row.budget))
    rows = tuple(
        (label, strategy, "; ".join(budgets), options)
        for (label, strategy, options), budgets in groups.items()
    )
    return TextTable("Strategies", ("label", "strategy", "budgets", "options"), rows, (True,) * 4)


def _settings_table(plan: BenchPlan) -> TextTable:
    """Return the settings that all strategies share."""
    pairs: list[tuple[str, Any]] = [
        ("task", plan.task), ("split", plan.split), ("problems", plan.problems or "all"),
        ("seeds", plan.seeds), ("first seed", plan.seed), ("policy", plan.policy or MISSING),
        ("reward", plan.reward or MISSING), *plan.settings.items(),
    ]  # fmt: skip
    rows = tuple((name, _value_text(value)) for name, value in pairs)
    return TextTable("Settings", ("setting", "value"), rows, (True, True))


def _pairs_text(options: Any) -> str:
    return ", ".join(f"{name}={_value_text(value)}" for name, value in options.items()) or MISSING


def _value_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
