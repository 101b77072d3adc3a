"""Records in TRL's stepwise form, on disk whole or not at all.

Ratings are whole numbers, right and wrong `true` and `false`, values numbers with a decimal point;
null is a masked step. Each row also says which they are (`kinds.KIND_FIELD`), so that any
part of the file is read back as what it was.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from stepnav.core.errors import ConfigError
from stepnav.files.atomic import STDOUT, write_with
from stepnav.files.parquet import load_pyarrow, write_table
from stepnav.labels.kinds import KIND_FIELD
from stepnav.labels.reader import LabelledData
from stepnav.labels.records import WHOLE_FIELDS, LabelKind, StepRecord

SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")
ALWAYS = ("prompt", "completions", "labels", KIND_FIELD, "origin")
"""Columns of a Parquet table that are there although nothing is known in them."""

ADVICE = "nothing was changed: free some space or name another --out, and do it again"


def write_stepwise(path: Path, data: LabelledData) -> None:
    """Write a data set as JSON lines or Parquet, by the file's ending.

    A file that was there is replaced.     To `STDOUT` it is written as JSON lines.

    Raises:
      ConfigError: another ending, or pyarrow is missing.
      DataError: the file cannot be written.
    """
    writers: dict[str, Callable[..., None]] = {
        ".jsonl": _write_lines,
        ".jsonl.gz": _write_gzip,
        ".parquet": _write_parquet,
    }
    for suffix, write in writers.items():
        if path.name.endswith(suffix) or path == STDOUT:
            write_with(path, partial(write, data=data), advice=ADVICE)
            return
    raise ConfigError(f"--out must end in {', '.join(SUFFIXES)} (got {path.name!r})")


def _write_lines(place: Path, data: LabelledData) -> None:
    with place.open("wb") as file:
        file.writelines(_lines(data))


def _write_gzip(place: Path, data: LabelledData) -> None:
    """Write the same bytes for the same records."""
    with place.open("wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as file:
        file.writelines(_lines(data))


def _lines(data: LabelledData) -> Iterator[bytes]:
    for record in data.records:
        row = {**record.to_json(), "labels": _labels(record, data.kind), KIND_FIELD: data.kind}
        yield (json.dumps(row, ensure_ascii=False) + "\n").encode()


def _labels(record: StepRecord, kind: LabelKind) -> list[Any]:
    if kind == "correct":
        return [None if label is None else label > 0 for label in record.labels]
    return list(record.labels)


def _write_parquet(place: Path, data: LabelledData) -> None:
    pa = load_pyarrow("writing", "; or end --out in .jsonl")
    types = {"rating": pa.int8(), "correct": pa.bool_(), "value": pa.float64()}
    kinds = {
        "prompt": pa.string(),
        "completions": pa.list_(pa.string()),
        "labels": pa.list_(types[data.kind]),
        "wrong_from": pa.list_(pa.int64()),
        "weights": pa.list_(pa.float64()),
        **dict.fromkeys(WHOLE_FIELDS, pa.bool_()),
        KIND_FIELD: pa.string(),
        "origin": pa.string(),
    }
    told: dict[str, list[Any]] = {
        "labels": [_labels(record, data.kind) for record in data.records],
        KIND_FIELD: [data.kind] * len(data.records),
    }
    columns = {}
    for name, kind in kinds.items():
        values = told.get(name) or [getattr(record, name) for record in data.records]
        if name in ALWAYS or any(value is not None for value in values):
            columns[name] = pa.array(values, kind)
    write_table(place, pa.table(columns))
