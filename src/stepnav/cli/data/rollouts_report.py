"""What `stepnav data rollouts` leaves and says at its end: the records, and the report on them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stepnav.cli.console import print_json, resume_command, say
from stepnav.cli.remarks import tell_failed
from stepnav.core.budget import Usage
from stepnav.core.errors import DataError
from stepnav.core.outcome import SearchResult
from stepnav.files.atomic import write_text
from stepnav.files.front_matter import dataset_head
from stepnav.labels.kinds import KIND_FIELD
from stepnav.labels.records import StepRecord
from stepnav.labels.rollouts import Labels, rollout_records

DATA_NAME = "rollouts.jsonl"
REPORT_NAME = "rollouts_report.json"
CARD = "README.md"


def report(
    out: Path, results: Sequence[SearchResult], kind: Labels, seconds: float, as_json: bool
) -> None:
    """Write the records and the report, and print it.

    Args:
      out: the run's folder.
      results: of all problems, failed ones included.
      kind: of the labels.
      seconds: how long the run took.
      as_json: whether to print JSON.

    Raises:
      BackendError: all problems failed.
      DataError: no solution could be labelled, or the files cannot be written.
    """
    by_problem = [rollout_records(result, labels=kind) for result in results]
    records = [record for own in by_problem for record in own]
    found = {
        **_figures(results, records, kind, seconds),
        **_unlabelled(results, [len(own) for own in by_problem]),
    }
    errors = [str(result.error) for result in results if result.outcome.stop_reason == "failed"]
    tell_failed(errors, len(results), f"this tries them again: {resume_command()}", "problems")
    if records:
        said = {KIND_FIELD: "correct" if kind == "hard" else "value"}  # a part is read as the whole
        lines = [json.dumps({**record.to_json(), **said}) + "\n" for record in records]
        write_text(out / DATA_NAME, "".join(lines))
        write_text(out / CARD, _card(found))
    write_text(out / REPORT_NAME, json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    if not records:
        raise DataError(
            f"no solution could be labelled ({_left_out(found)}); take more --solutions or "
            "--samples in another folder, or --keep-unsolved"
        )
    if as_json:
        print_json({"out": str(out / DATA_NAME), **found})
    else:
        say(_sentence(found))
        say(f"Saved to {out / DATA_NAME}, with {REPORT_NAME}.")


def _figures(
    results: Sequence[SearchResult], records: Sequence[StepRecord], kind: Labels, seconds: float
) -> dict[str, Any]:
    failed = [result for result in results if result.outcome.stop_reason == "failed"]
    counts: Counter[str] = Counter()
    for result in results:
        counts.update(result.outcome.counts)
    usage = sum((result.usage for result in results), Usage())
    labels = Counter(
        "masked" if label is None else str(label) if kind == "hard" else "value"
        for record in records
        for label in record.labels
    )
    return {
        "problems": len(results),
        "solutions": counts["drawn"],
        "records": len(records),
        "cut": counts["cut"],
        "duplicates": counts["duplicates"],
        "ungraded": counts["ungraded"],
        "ungradable": counts["ungradable"],
        "failed": len(failed),
        "first_error": failed[0].error if failed else None,
        "labels": dict(sorted(labels.items())),
        **asdict(usage),
        "seconds": round(seconds, 2),
    }


def _unlabelled(results: Sequence[SearchResult], labelled: Sequence[int]) -> dict[str, Any]:
    """Return why distinct solutions are no record, each reason with its count.

    Args:
      results: of all problems.
      labelled: records of each.
    """
    begin = unknown = left_out = unsolved = 0
    for result, records in zip(results, labelled, strict=True):
        counts = result.outcome.counts
        if "drawn" not in counts:  # it failed, or can never be graded
            continue
        leaves = sum(node.depth > 0 and not node.children for node in result.tree.nodes)
        begin += counts["drawn"] - counts["cut"] - counts["duplicates"] - leaves
        if counts["solved"]:
            unknown += leaves - records
        else:
            unsolved += 1
            left_out += leaves - records
    return {
        "begin_others": begin,
        "unknown": unknown,
        "never_solved": {"problems": unsolved, "left_out": left_out},
    }


def _left_out(found: Mapping[str, Any]) -> str:
    """Return what was left out, each reason with its count."""
    unsolved = found["never_solved"]
    of_runs = {"begin_others": "that others begin with", "unknown": "without an outcome"}
    ungraded = (
        f"; {found['ungraded']} solutions and completions could not be graded and count as neither "
        "right nor wrong"
        if found["ungraded"]
        else ""
    )
    ungradable = (
        f"; problems that can never be graded: {found['ungradable']}" if found["ungradable"] else ""
    )
    rare = [f"{found[name]} {why}, " for name, why in of_runs.items() if found[name]]
    return (
        f"{found['cut']} cut, {found['duplicates']} drawn before, {''.join(rare)}"
        f"{unsolved['left_out']} left out of {unsolved['problems']} problems never solved; "
        f"{found['failed']} problems failed"
        f"{ungradable}{ungraded}"
    )


def _sentence(found: Mapping[str, Any]) -> str:
    labels = ", ".join(f"{name} {count}" for name, count in found["labels"].items())
    flops = "unknown" if found["flops"] is None else f"{found['flops']:.3g}"
    return (
        f"{found['records']} of {found['solutions']} solutions of {found['problems']} problems "
        f"labelled ({_left_out(found)}); steps: {labels}\n"
        f"{found['policy_tokens']} policy tokens in {found['policy_calls']} calls, "
        f"{found['policy_prompt_tokens']} prompt tokens ({found['policy_cached_tokens']} cached), "
        f"FLOPs {flops}, {found['seconds']:.0f} s"
    )


def _card(found: Mapping[str, Any]) -> str:
    """Return the data's card; settings stand in the file beside it."""
    head = dataset_head({"train": DATA_NAME}, ["process-reward-model"])
    return (
        f"{head}\n# Step labels by completing prefixes\n\n{_sentence(found)}\n\n"
        "Fields: `prompt`, `completions` (the steps), `labels` (one per step; null is unknown), "
        "what they are, and `is_finished` (whether the steps end in an answer). "
        f"`rollouts.json` holds the settings, `{REPORT_NAME}` all figures.\n"
    )
