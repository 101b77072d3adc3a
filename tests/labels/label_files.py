"""Small files of step labels for tests."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def write_lines(path: Path, rows: Iterable[object]) -> Path:
    """Write rows as JSON lines; text stands as it is. Gzipped if the name says so."""
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    content = "".join(line + "\n" for line in lines).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def alternative(text: str, rating: object, *, flagged: bool | None = False) -> dict[str, Any]:
    return {"text": text, "rating": rating, "flagged": flagged}


def step(*alternatives: dict[str, Any], chosen: object = 0, human: str | None = None) -> Any:
    written = None if human is None else {"text": human, "rating": None, "source": "human"}
    return {
        "completions": list(alternatives),
        "human_completion": written,
        "chosen_completion": chosen,
    }


def session(*steps: Any, problem: str = "Q", finish: str = "solution", **marks: bool) -> Any:
    return {
        "is_quality_control_question": marks.get("quality_control", False),
        "is_initial_screening_question": marks.get("screening", False),
        "question": {"problem": problem, "ground_truth_answer": "3"},
        "label": {"steps": list(steps), "total_time": 1, "finish_reason": finish},
    }


def stepwise(*labels: object, prompt: str = "Q", **more: object) -> dict[str, Any]:
    steps = [f"step {number}" for number in range(1, len(labels) + 1)]
    return {"prompt": prompt, "completions": steps, "labels": list(labels), **more}
