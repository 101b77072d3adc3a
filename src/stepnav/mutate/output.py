"""The files of a data set: JSON lines per split, one Parquet table, and the data card.

The same findings give the same bytes, whatever order they were found in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stepnav.files.atomic import write_text, write_with
from stepnav.files.front_matter import dataset_head
from stepnav.files.parquet import load_pyarrow, write_table
from stepnav.mutate.balance import weigh
from stepnav.mutate.card import write_card
from stepnav.mutate.findings import ProblemReport
from stepnav.mutate.records import MutationRecord, make_records, with_weights

SPLITS = ("train", "validation", "held_out", "set_aside")
"""Splits; the last one (held-out operators on training problems) is in the table only."""

TABLE = "mutants.parquet"
CARD = "README.md"


def write_data(
    out: Path, campaign: Mapping[str, Any], reports: Sequence[ProblemReport]
) -> list[Path]:
    """Write the data set of a finished campaign; return its files.

    Args:
      out: the folder.
      campaign: the journal's first line.
      reports: of all problems, in any order.
    Raises:
      DataError: a file cannot be written.
      ConfigError: pyarrow is missing.
    """
    load_pyarrow("writing")
    ordered = sorted(reports, key=lambda report: report.number)
    held_out = frozenset(campaign["held_out"])
    records = [
        record
        for report in ordered
        for record in make_records(report, seed=campaign["seed"], held_out=held_out)
    ]
    by_split = {name: _weighed(records, name) for name in SPLITS}
    files = []
    for name in SPLITS[:-1]:
        if by_split[name]:
            files.append(out / f"{name}.jsonl")
            write_text(files[-1], _lines(by_split[name]))
    every = [record for name in SPLITS for record in by_split[name]]
    files += [out / TABLE, out / CARD]
    write_with(files[-2], lambda place: _write_table(place, every))
    splits = {path.stem: path.name for path in files[:-2]}
    head = dataset_head(splits, ["mutation-testing", "process-reward-model"])
    write_text(files[-1], f"{head}\n{write_card(campaign, ordered, every)}")
    return files


def _weighed(records: Sequence[MutationRecord], split: str) -> list[MutationRecord]:
    chosen = [record for record in records if record.split == split]
    return [with_weights(record, row) for record, row in zip(chosen, weigh(chosen))]


def _lines(records: Sequence[MutationRecord]) -> str:
    lines = (json.dumps(record.to_json(), ensure_ascii=False) + "\n" for record in records)
    return "".join(lines)


def _write_table(place: Path, records: Sequence[MutationRecord]) -> None:
    import pyarrow as pa

    whole, text, real = pa.int64(), pa.string(), pa.float64()
    kinds = {
        "prompt": text, "completions": pa.list_(text), "labels": pa.list_(pa.int8()),
        "wrong_from": pa.list_(whole), "weights": pa.list_(real), "task_id": text,
        "operator": text, "spans": pa.list_(pa.list_(whole)), "replacements": pa.list_(text),
        "step": whole, "verdict": text, "split": text, "seed": whole, "level": text,
    }  # fmt: skip
    columns = {
        name: pa.array([getattr(record, name) for record in records], type=kind)
        for name, kind in kinds.items()
    }
    write_table(place, pa.table(columns))
