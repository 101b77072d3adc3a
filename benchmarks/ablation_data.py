"""Labelled solutions for `ablations.py`: drawn from the shipped policy, labelled by the checker.

Training problems are those that the policy's own training has not seen; the solutions that reward
models are measured on are of dev problems, other ones than are searched.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stepnav import build
from stepnav.core.records import Problem
from stepnav.files.atomic import write_text
from stepnav.labels.records import StepRecord, write_records
from stepnav.tasks.arithmetic import problems as arithmetic
from stepnav.zoo.arithmetic import DOMAIN
from stepnav.zoo.checked import labelled, split_solution
from stepnav.zoo.labelled import policy_sampler

TASK = "arithmetic"
TRAINING_SEED, HELD_OUT_SEED = 2001, 77
"""Seeds of the problems: not those of the shipped models' own training, nor of the searches."""
SHARDS = (2200, 5000)
"""Training problems are drawn so many at a time: about 30,000 labels, then 70,000 more."""
TEMPERATURES = (1.0, 1.0, 0.7)
FEW = 6
"""Calculations: problems with fewer are the easier part, the others the harder one."""
HELD_OUT_TEMPERATURES = (1.0,) * 4


@dataclass(frozen=True)
class Solution:
    """One solution of the policy.

    Attributes:
      id: the problem's.
      question: its text.
      steps: all steps, separators included.
      labels: -1, 0 or 1, up to and with the first wrong step.
      right: whether its answer is the problem's.
    """

    id: str
    question: str
    steps: tuple[str, ...]
    labels: tuple[int, ...]
    right: bool

    @property
    def first_error(self) -> int | None:
        """Its first wrong step; None for none."""
        return len(self.labels) - 1 if -1 in self.labels else None


def draw(problems: Sequence[Problem], temperatures: Sequence[float], seed: int) -> list[Solution]:
    """Return one solution per problem and temperature, blank ones left out."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = build.policy_folder(TASK)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    sample = policy_sampler(DOMAIN, model, tokenizer, temperatures, seed=seed)
    return [
        made(problem, text)
        for problem, texts in zip(problems, sample(problems, lambda *_: None), strict=True)
        for text in texts
        if text.strip()
    ]


def made(problem: Problem, text: str) -> Solution:
    """Return a solution with the checker's labels."""
    record = labelled(arithmetic.rate_steps, problem, text)
    labels = tuple(int(label) for label in record.labels if label is not None)
    right = arithmetic.grade(problem, text)
    return Solution(problem.id, problem.question, tuple(split_solution(text)), labels, right)


def kept(path: Path, problems: Sequence[Problem], temperatures: Sequence[float]) -> list[Solution]:
    """Return the solutions of a file, drawn now unless it is there."""
    if not path.exists():
        found = draw(problems, temperatures, TRAINING_SEED)
        write_text(path, "".join(json.dumps(asdict(one)) + "\n" for one in found))
    rows = map(json.loads, path.read_text().splitlines())
    return [
        Solution(**{**row, "steps": tuple(row["steps"]), "labels": tuple(row["labels"])})
        for row in rows
    ]


def training_solutions(folder: Path, least_labels: int) -> list[Solution]:
    """Return solutions of training problems with so many labels in all or some more."""
    folder.mkdir(parents=True, exist_ok=True)
    found: list[Solution] = []
    first = 0
    for size in SHARDS:
        if sum(len(one.labels) for one in found) >= least_labels:
            break
        ids = (DOMAIN.training_id(TRAINING_SEED, number) for number in range(first, first + size))
        found += kept(
            folder / f"train-{first}.jsonl",
            [arithmetic.problem(name) for name in ids],
            TEMPERATURES,
        )
        first += size
    return found


def held_out_solutions(folder: Path, problems: int) -> list[Solution]:
    """Return solutions of dev problems, four of each at temperature 1."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = arithmetic.load("dev", problems, HELD_OUT_SEED)
    return kept(folder / f"dev-{problems}.jsonl", drawn, HELD_OUT_TEMPERATURES)


def calculations(problem_id: str) -> int:
    """Return how many calculations a problem's reference solution has."""
    return sum(1 + bool(event.products) for event in arithmetic.story_of(problem_id).events)


def chosen(solutions: Sequence[Solution], labels: int, seed: int) -> list[Solution]:
    """Return the solutions of problems drawn by the seed, until they hold so many labels."""
    by_problem: dict[str, list[Solution]] = {}
    for one in solutions:
        by_problem.setdefault(one.id, []).append(one)
    order = sorted(by_problem)
    random.Random(seed).shuffle(order)
    found: list[Solution] = []
    left = labels
    for name in order:
        if left <= 0:
            break
        found += by_problem[name]
        left -= sum(len(one.labels) for one in by_problem[name])
    return found


def in_twos(steps: Sequence[str], labels: Sequence[int]) -> tuple[list[str], list[int]]:
    """Return every two lines as one step: wrong if one of them is, needed if one of them is."""
    kept = steps[: len(labels)]
    starts = range(0, len(kept), 2)
    ratings = [labels[start : start + 2] for start in starts]
    texts = ["".join(kept[start : start + 2]) for start in starts]
    return texts, [-1 if -1 in both else max(both) for both in ratings]


def step_record(one: Solution, boundary: str) -> StepRecord:
    """Return a solution up to its first wrong step, as a PRM learns it."""
    steps, labels = list(one.steps[: len(one.labels)]), list(one.labels)
    if boundary == "two lines":
        steps, labels = in_twos(steps, labels)
    return StepRecord(one.question, tuple(steps), tuple(labels))


def outcome_record(one: Solution) -> StepRecord:
    """Return a whole solution with one label at its last step: whether its answer is right."""
    labels = (*[None] * (len(one.steps) - 1), 1 if one.right else -1)
    return StepRecord(one.question, one.steps, labels)


def write_training(
    path: Path, solutions: Sequence[Solution], labels: int, seed: int, head: str, boundary: str
) -> dict[str, int]:
    """Write what a model learns from; return how much that is."""
    own = chosen(solutions, labels, seed)
    make = outcome_record if head == "orm" else lambda one: step_record(one, boundary)
    records = [make(one) for one in own]
    write_records(path, records)
    return {
        "problems": len({one.id for one in own}),
        "solutions": len(own),
        "labels": sum(label is not None for record in records for label in record.labels),
    }


def write_held_out(folder: Path, solutions: Sequence[Solution], boundary: str) -> dict[str, Path]:
    """Write the held-out solutions as `eval-prm` reads them; return the file of each kind."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {kind: folder / f"{kind}.jsonl" for kind in ("first-errors", "steps", "best-of-n")}
    write_rows(paths["first-errors"], (first_error_row(one, boundary) for one in solutions))
    write_records(paths["steps"], (step_record(one, boundary) for one in solutions))
    write_rows(paths["best-of-n"], (best_of_n_row(one, boundary) for one in solutions))
    return paths


def first_error_row(one: Solution, boundary: str) -> dict[str, Any]:
    """Return a solution as ProcessBench has them."""
    error = one.first_error
    if error is not None and boundary == "two lines":
        error //= 2
    steps = regrouped(one.steps, boundary)
    return {"problem": one.question, "steps": steps, "label": -1 if error is None else error}


def best_of_n_row(one: Solution, boundary: str) -> dict[str, Any]:
    """Return a solution to choose among those of its problem."""
    steps = regrouped(one.steps, boundary)
    return {
        "problem_id": one.id, "problem": one.question, "steps": steps, "is_correct": one.right,
    }  # fmt: skip


def regrouped(steps: Sequence[str], boundary: str) -> list[str]:
    """Return a whole solution's steps."""
    return in_twos(steps, [1] * len(steps))[0] if boundary == "two lines" else list(steps)


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    write_text(path, "".join(json.dumps(row) + "\n" for row in rows))
