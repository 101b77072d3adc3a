"""Small evaluation files made of the embedded arithmetic task, labelled by its exact checker."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

from stepnav.core.records import Problem
from stepnav.tasks.arithmetic import problems as arithmetic


def solutions(count: int, *, per_problem: int = 2) -> list[tuple[Problem, list[str], list[int]]]:
    """Return (problem, steps, ratings); every second solution has one number changed."""
    found = []
    for problem in arithmetic.load("dev", count, 3):
        for number in range(per_problem):
            steps = [step.strip() for step in arithmetic.solve(problem.id)]
            if number % 2:
                rng = random.Random(problem.id)
                place = rng.randrange(len(steps) - 1)
                steps[place] = re.sub(r"\d+(?=\D*$)", lambda m: str(int(m[0]) + 1), steps[place])
            ratings = [v.rating for v in arithmetic.rate_steps(problem, steps)]
            found.append((problem, steps, ratings))
    return found


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def processbench(path: Path, count: int = 12) -> Path:
    rows = [
        {
            "id": f"case-{number}",
            "generator": "made up",
            "problem": problem.question,
            "steps": steps,
            "final_answer_correct": -1 not in ratings,
            "label": ratings.index(-1) if -1 in ratings else -1,
        }
        for number, (problem, steps, ratings) in enumerate(solutions(count))
    ]
    return write(path, rows)


def prmbench(path: Path, count: int = 12) -> Path:
    """Write one row of each category in turn; the wrong steps are those of the exact checker."""
    rows = [
        {
            "original_question": problem.question,
            "modified_question": problem.question,
            "original_process": [f"{n}. {step}" for n, step in enumerate(steps, 1)],
            "modified_process": [f"{n}. {step}" for n, step in enumerate(steps, 1)],
            "modified_steps": [],
            "error_steps": [n for n, rating in enumerate(ratings, 1) if rating == -1],
            "reason": "made up",
            "idx": f"case_{number}",
            "question": problem.question,
            "classification": "circular" if -1 in ratings else "multi_solutions",
        }
        for number, (problem, steps, ratings) in enumerate(solutions(count))
    ]
    return write(path, rows)


def stepwise(path: Path, count: int = 12) -> Path:
    rows = []
    for problem, steps, ratings in solutions(count):
        end = ratings.index(-1) + 1 if -1 in ratings else len(steps)
        rows.append(
            {
                "prompt": problem.question,
                "completions": steps[:end],
                "labels": ratings[:end],
            }
        )
    return write(path, rows)


def best_of_n(path: Path, count: int = 6, *, scores: bool = False) -> Path:
    rows = []
    for problem, steps, ratings in solutions(count, per_problem=4):
        row: dict[str, Any] = {
            "problem_id": problem.id,
            "problem": problem.question,
            "steps": steps,
            "is_correct": -1 not in ratings,
            "answer": steps[-1].removeprefix("#### ") if -1 not in ratings else "wrong",
        }
        if scores:
            row["scores"] = [0.25 if rating == -1 else 0.75 for rating in ratings]
        rows.append(row)
    return write(path, rows)
