"""Time to read a file of step labels, and to write and read it in stepwise form.

Run: python benchmarks/labels.py phase1_train.jsonl.gz
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from stepnav.labels.output import SUFFIXES, write_stepwise
from stepnav.labels.reader import LabelledData, read_labelled


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path, help="a file of step labels")
    path = parser.parse_args().path
    data = _read(path)
    with tempfile.TemporaryDirectory() as folder:
        for suffix in SUFFIXES:
            out = Path(folder) / f"labels{suffix}"
            began, cpu = time.perf_counter(), time.process_time()
            write_stepwise(out, data)
            _tell(f"write {suffix} ({out.stat().st_size / 1e6:.1f} MB)", began, cpu)
            _read(out)


def _read(path: Path) -> LabelledData:
    began, cpu = time.perf_counter(), time.process_time()
    data = read_labelled(path)
    _tell(f"read {path.name}: {data.report.ratings:,} labels", began, cpu)
    return data


def _tell(what: str, began: float, cpu: float) -> None:
    print(f"{what}: {time.perf_counter() - began:.2f} s, {time.process_time() - cpu:.2f} s of CPU")


if __name__ == "__main__":
    main()
