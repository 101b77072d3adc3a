"""The tables of a reward model's evaluation, for the terminal and for `report.md`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stepnav.measure.prm.plots import NAMES
from stepnav.measure.prm.prmbench_rows import CATEGORIES
from stepnav.measure.report.tables import MISSING, percent
from stepnav.measure.report.text_table import TextTable, markdown_report
from stepnav.measure.stats.cluster import NUM_RESAMPLES
from stepnav.measure.stats.intervals import MIN_UNITS

MAX_NAMED = 20
"""Solutions without scores named one by one in the report; the rest are counted."""

Report = Mapping[str, Any]


def tables(report: Report) -> list[TextTable]:
    """Return the tables of a report, in reading order."""
    make = {
        "processbench": _processbench, "prmbench": _prmbench, "prm800k": _ratings,
        "best-of-n": _best_of_n,
    }[report["kind"]]  # fmt: skip
    return make(report["figures"])


def markdown_page(report: Report, *, title: str, plot: str) -> str:
    """Return the report in Markdown.

    Args:
      report: the object of `report.json`.
      title: its heading.
      plot: file name of the plot, relative to the report.
    """
    found = tables(report)
    picture = f"![{found[0].title}]({plot})"
    return markdown_report(title, _subtitle(report), found, picture, notes(report))


def notes(report: Report) -> list[str]:
    """Return how the figures were made, and what a reader must know about them."""
    lines = [
        f"Intervals are 95% BCa bootstrap intervals over problems ({NUM_RESAMPLES:,} resamples; a "
        "problem keeps all its solutions and steps). None is given where all resamples are equal.",
        *_KIND_NOTES[report["kind"]],
    ]
    if report["kind"] in ("processbench", "prmbench"):
        lines.append(threshold_note(report["figures"]))
    unscored = report["unscored"]
    if unscored:
        named = "; ".join(f"{item['id']} ({item['reason']})" for item in unscored[:MAX_NAMED])
        more = f"; and {len(unscored) - MAX_NAMED} more" if len(unscored) > MAX_NAMED else ""
        lines.append(
            f"{len(unscored)} solutions have no scores and are in no figure: {named}{more}."
        )
    if report["left_out"]:
        lines.append(f"The reader left out: {'; '.join(report['left_out'])}.")
    return lines


_KIND_NOTES: Mapping[str, Sequence[str]] = {
    "processbench": (
        "A solution's first error is the first step whose P(not wrong) is below the threshold, or "
        "the first one rated -1. Error accuracy: wrong solutions whose first error is found "
        "exactly. Correct accuracy: right ones in which none is found. F1 is their harmonic mean "
        "(Zheng et al. 2024, arXiv 2412.06559).",
        "Drawn by lot: what is expected of a model that knows nothing, at the rate that suits it "
        "best.",
        f"Accuracies with fewer than {MIN_UNITS} problems right or wrong have the exact "
        "Clopper-Pearson interval. AUROC is of first errors against steps before or without one.",
    ),
    "prmbench": (
        "PRM-Score: the mean of the F1 of right and of wrong steps (Song et al. 2025, arXiv "
        "2501.03124), of multi_solutions the former alone; of a dimension the mean over its "
        "categories, overall of all steps together.",
    ),
    "prm800k": (
        "The wrong class is -1; its AUROC and average precision rank steps by the model's P(-1). "
        "First errors and false rejections are over steps with nothing labelled wrong before them.",
        "ECE: expected calibration error over 15 equal bins (Guo et al. 2017, arXiv 1706.04599), "
        "of the model's own rating, and of P(-1); biased upwards where steps are few, "
        "so without interval. "
        "Brier: squared distance summed over the classes.",
        "Where the model has no neutral class, steps labelled 0 count as right.",
    ),
    "best-of-n": (
        "Accuracy of the solution with the highest aggregated score among n, expected over all "
        "subsets of n of a problem's solutions; over problems with at least n of them. Majority: "
        "over all subsets where they are at most 1000, else over 1000 drawn ones; over problems of "
        "which all votes are known: from the file, or marked in the text.",
        "pass@n, one of n is right, bounds what choosing can reach. AUROC pairs right and wrong "
        "solutions of one problem, or of all (pooled), where knowing the hard problems is enough.",
    ),
}


def threshold_note(figures: Report) -> str:
    """Return where the threshold of a report comes from."""
    chosen, origin = figures["threshold"], figures["threshold_from"]
    if origin == "the paper":
        return f"A step counts as right if its P(not wrong) is above {chosen:g}, as in the paper."
    if origin == "given":
        return f"The threshold {chosen:g} was given; all solutions are reported on."
    dev = figures["dev"]
    if chosen is None:
        return (
            f"No threshold could be chosen: the dev part ({dev['solutions']} solutions) needs "
            "solutions with and without an error."
        )
    return (
        f"The threshold {chosen:.4g} has the highest F1 ({percent(dev['f1'])}) on a dev part of "
        f"{dev['problems']} problems (seed {figures['seed']}); the figures are on the other "
        f"{figures['test']['problems']}."
    )


def _subtitle(report: Report) -> str:
    parts = [
        f"{report['solutions']} solutions of {report['problems']} problems ({report['kind']})",
        f"model digest {report['reward_digest'] or MISSING}",
        f"data digest {report['data_digest']}",
        f"{report['dtype'] or MISSING}",
    ]
    return ", ".join(parts) + "."


def cell(value: Report | None) -> str:
    """Return a figure in per cent with its interval."""
    if value is None or value["value"] is None:
        return MISSING
    ends = value["ci95"]
    interval = "" if ends is None else f" ({percent(ends[0])} to {percent(ends[1])})"
    return percent(value["value"]) + interval


def _number(value: Report) -> str:
    """Return a figure with three decimals and its interval."""
    if value["value"] is None:
        return MISSING
    ends = value["ci95"]
    interval = "" if ends is None else f" ({ends[0]:.3f} to {ends[1]:.3f})"
    return f"{value['value']:.3f}{interval}"


def _table(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> TextTable:
    """Return a table whose first column is text and whose others are numbers."""
    is_text = (True, *(False for _ in header[1:]))
    return TextTable(title, tuple(header), tuple(tuple(row) for row in rows), is_text)


def _processbench(figures: Report) -> list[TextTable]:
    names = {
        "by_threshold": f"below the threshold {figures['threshold'] or 0:.4g}",
        "by_rating": "rated -1",
        "by_rating_all": "rated -1, dev part too",
    }
    if chance := figures["by_chance"]:
        names["by_chance"] = f"drawn by lot, {percent(chance['rate'])} of steps"
    if length := figures["by_length"]:
        names["by_length"] = f"longer than {length['characters']} characters"
    rows = [
        [name, *(cell(figures[key][part]) for part in ("error_accuracy", "correct_accuracy", "f1"))]
        for key, name in names.items()
        if figures[key] is not None
    ]
    sizes = [
        [name, str(part["solutions"]), str(part["problems"]), str(part["with_error"])]
        for name, part in (("dev", figures["dev"]), ("reported", figures["test"]))
        if part is not None
    ]
    return [
        _table(
            "First errors",
            ("first error is the first step", "error acc.", "correct acc.", "F1"),
            rows,
        ),
        _table("Parts", ("part", "solutions", "problems", "with an error"), sizes),
        _table("Ranking", ("figure", "value"), [["AUROC", _number(figures["auroc_first_errors"])]]),
    ]


def _prmbench(figures: Report) -> list[TextTable]:
    found, rated = figures["by_threshold"], figures["by_rating"]
    rows = []
    for name, row in found.items():
        size = figures["sizes"].get(name, {})
        sizes = (str(size.get(part, "")) for part in ("solutions", "steps", "wrong"))
        plain = (percent(row[part]) if part in row else "" for part in ("f1", "negative_f1"))
        scores = (cell(part[name]["prm_score"]) for part in (found, rated))
        short, _ = CATEGORIES.get(name, ("", ""))
        title = f"{name.replace('_', ' ')} ({short})" if short else name
        rows.append([title, *sizes, next(scores), *plain, next(scores)])
    header = (
        "category", "solutions", "steps", "wrong", "PRM-Score", "F1", "negative F1",
        "PRM-Score by rating",
    )  # fmt: skip
    return [_table("PRMBench", header, rows)]


def _ratings(figures: Report) -> list[TextTable]:
    classes = [
        [name, str(row["count"]), *(cell(row[part]) for part in ("precision", "recall", "f1"))]
        for name, row in figures["classes"].items()
    ]
    confusion = figures["confusion"]
    counts = [
        [f"labelled {label}", *(str(count) for count in row)]
        for label, row in zip(confusion["classes"], confusion["rows_true_columns_rated"])
    ]
    negative, calibration, first = (
        figures[name] for name in ("negative", "calibration", "first_errors")
    )
    summary = [
        ["accuracy", cell(figures["accuracy"])],
        ["AUROC of -1", _number(negative["auroc"])],
        ["average precision of -1", _number(negative["average_precision"])],
        ["share of -1", percent(negative["base_rate"])],
        ["first errors missed", cell(first["misses"])],
        ["false rejections", cell(first["false_rejections"])],
        ["ECE of the rating", cell(calibration["rating"]["ece"])],
        ["its mean probability - accuracy", cell(calibration["rating"]["gap"])],
        ["ECE of P(-1)", cell(calibration["negative"]["ece"])],
        ["mean P(-1) - share of -1", cell(calibration["negative"]["gap"])],
        ["Brier score", _number(calibration["brier"])],
        ["negative log-likelihood (nats)", _number(calibration["nll"])],
    ]
    rated = [f"rated {label}" for label in confusion["classes"]]
    return [
        _table("Classes", ("class", "steps", "precision", "recall", "F1"), classes),
        _table("All steps", ("figure", "value"), summary),
        _table("Confusion", ("", *rated), counts),
        _reliability(calibration["negative"]["bins"]),
    ]


def _reliability(bins: Sequence[Report]) -> TextTable:
    rows = [
        [
            f"{row['low']:.3f} to {row['high']:.3f}",
            str(row["count"]),
            percent(row["confidence"]),
            cell({"value": row["frequency"], "ci95": row["ci95"]}),
        ]
        for row in bins
    ]
    header = ("P(-1)", "steps", "mean P(-1)", "labelled -1")
    return _table("Reliability of P(-1)", header, rows)


def _best_of_n(figures: Report) -> list[TextTable]:
    header = ("n", "problems", *NAMES.values())
    sizes = figures["n"]
    rows = [[str(r["n"]), str(r["problems"]), *(_choice(r, key) for key in NAMES)] for r in sizes]
    ranking = [
        [NAMES[name], *(_number(figures[part][name]) for part in ("auroc_within", "auroc"))]
        for name in figures["auroc"]
    ]
    return [
        _table("Accuracy of the best of n", header, rows),
        _table("AUROC of right solutions", ("aggregation", "within a problem", "pooled"), ranking),
    ]


def _choice(row: Report, key: str) -> str:
    """Return the accuracy of one way to choose, of votes with the problems that have them."""
    is_partial = key == "majority" and 0 < row["voted"] < row["problems"]
    return cell(row[key]) + (f", {row['voted']} problems" if is_partial else "")


def calibration_table(report: Report) -> TextTable:
    """Return what a temperature changed, on the part it was fitted on and on the rest."""
    rows = []
    for name, part in (("fitted on", report["fitted_on"]), ("held out", report["held_out"])):
        for moment in ("before", "after"):
            found = part[moment]
            rows.append([
                f"{name}, {moment}", str(part["steps"]), _number(found["nll"]),
                cell(found["rating"]["ece"]), cell(found["negative"]["ece"]),
                _number(found["brier"]),
            ])  # fmt: skip
    header = ("part", "steps", "NLL (nats)", "ECE of the rating", "ECE of P(-1)", "Brier")
    return _table("Calibration", header, rows)


def right_table(parts: Mapping[str, Report]) -> TextTable:
    """Return how far P(right) is from how often it came true, by part."""
    rows = [
        [
            name,
            str(part["searches"]),
            *(f"{100 * part[key]:.1f}%" for key in ("mean", "correct", "ece", "honest_ece")),
            f"{part['brier']:.3f}",
        ]
        for name, part in parts.items()
    ]
    header = ("part", "searches", "mean", "right", "ECE", "ECE if honest", "Brier")
    return _table("P(right)", header, rows)
