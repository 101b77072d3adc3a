"""What `stepnav data rollouts` leaves and says at its end: the records, and the report on them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stepnav.cli.console import print_json, resume_command, stderr, stdout
from stepnav.core.budget import Usage
from stepnav.core.errors import BackendError, DataError
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
    records = [record for result in results for record in rollout_records(result, labels=kind)]
    found = _figures(results, records, kind, seconds)
    _tell_failed(found)
    if records:
        _write_records(out / DATA_NAME, records, kind)
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
        stdout().print(_sentence(found), soft_wrap=True)
        stdout().print(f"Saved to {out / DATA_NAME}, with {REPORT_NAME}.", soft_wrap=True)


def _figures(
    results: Sequence[SearchResult], records: Sequence[StepRecord], kind: Labels, seconds: float
) -> dict[str, Any]:
    failed = [result for result in results if result.outcome.stop_reason == "failed"]
    counts: Counter[str] = Counter()
    for result in results:
        counts.update(result.outcome.counts)
    distinct = counts["drawn"] - counts["cut"] - counts["duplicates"]
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
        "never_solved": {
            "problems": sum(result.outcome.counts.get("solved") == 0 for result in results),
            "left_out": distinct - len(records),
        },
        "failed": len(failed),
        "first_error": failed[0].error if failed else None,
        "labels": dict(sorted(labels.items())),
        **asdict(usage),
        "seconds": round(seconds, 2),
    }


def _left_out(found: Mapping[str, Any]) -> str:
    """Return what was left out, each reason with its count."""
    unsolved = found["never_solved"]
    return (
        f"{found['cut']} cut, {found['duplicates']} drawn before, {unsolved['left_out']} left out "
        f"of {unsolved['problems']} problems never solved; {found['failed']} problems failed"
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


def _tell_failed(found: Mapping[str, Any]) -> None:
    """Say that problems failed, why the first one did, and how to try them again.

    Raises:
      BackendError: all did.
    """
    if not found["failed"]:
        return
    text = (
        f"{found['failed']} of {found['problems']} problems failed (the first: "
        f"{found['first_error']}); this tries them again: {resume_command()}"
    )
    if found["failed"] == found["problems"]:
        raise BackendError(text)
    stderr().print(f"note: {text}", soft_wrap=True)


def _write_records(path: Path, records: Sequence[StepRecord], kind: Labels) -> None:
    """Write records that each say what their labels are, so that a part is read as the whole."""
    said = {KIND_FIELD: "correct" if kind == "hard" else "value"}
    write_text(path, "".join(json.dumps({**record.to_json(), **said}) + "\n" for record in records))
