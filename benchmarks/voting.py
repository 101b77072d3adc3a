"""What votes of 1 to N samples are worth: one run of N samples per problem gives all of them.

    python benchmarks/voting.py runs/results/voting-arithmetic

The run draws N samples with `weighted_vote:samples=N`; the first k of them are what each strategy
would have had with k, so self-consistency, best-of-N and the weighted vote share nested draws.
Beside them stand the run's other strategies. Writes `voting.json` and `voting.png` into the folder.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from stepnav.cli.report import load_task
from stepnav.core.aggregate import aggregate
from stepnav.core.codec import decode_answer
from stepnav.core.outcome import SearchResult
from stepnav.core.records import Trajectory
from stepnav.core.requests import Complete
from stepnav.core.vote import count_votes
from stepnav.measure.extras import load
from stepnav.measure.run_folder import open_run
from stepnav.measure.runner import read_rows
from stepnav.measure.stats.intervals import accuracy

VOTED = "weighted_vote:samples="
NAMES = ("self_consistency", "best_of_n", "weighted_vote")


def drawn(folder: Path) -> Iterator[tuple[SearchResult, Sequence[Trajectory]]]:
    """Yield each search of the many samples, and its samples in the order of drawing."""
    _, journal = open_run(folder)
    with closing(journal), closing(sqlite3.connect(journal.path)) as database:
        for result in journal.results():
            if result.search_id.startswith(VOTED) and result.error is None:
                query = "SELECT payload FROM answers WHERE search_id = ? AND number = 0"
                (payload,) = database.execute(query, (result.search_id,)).fetchone()
                request = Complete(result.tree.root.trajectory)
                yield result, decode_answer(request, json.loads(payload)).items


def choices(answers: Sequence[str | None], scores: Sequence[float]) -> tuple[str | None, ...]:
    """Return the answers of self-consistency, best-of-N and weighted vote, as in `NAMES`.

    Example:
      >>> choices(["4", "5", "5"], [0.9, 0.3, 0.4])
      ('5', '4', '4')
    """
    best = max(range(len(scores)), key=scores.__getitem__)
    votes = [next(iter(count_votes(answers, weights)), None) for weights in (None, scores)]
    return votes[0], answers[best], votes[1]


def curves(folder: Path) -> list[dict[str, Any]]:
    """Return a row per strategy and number of samples."""
    plan, journal = open_run(folder)
    journal.close()
    task = load_task(plan)
    grades: dict[tuple[str, int], dict[str, list[bool | None]]] = {}
    tokens: dict[int, list[int]] = {}
    for result, samples in drawn(folder):
        problem, tree = result.tree.problem, result.tree
        extract = task.extractor(problem)
        finished = [sample for sample in samples if sample.is_finished]
        answers = [extract(sample.text) for sample in finished]
        scores = []
        for sample in finished:
            node, path = tree.root, []
            for step in sample.steps:
                found = tree.find_child(node, step)
                assert found is not None and found.score is not None, "a sample was not scored"
                node = found
                path.append(found.score)
            scores.append(aggregate(path, "prod"))
        right = {answer: task.grade(problem, answer) for answer in {*answers, None}}
        size = 1
        while size <= len(samples):
            count = sum(sample.is_finished for sample in samples[:size])
            chosen = choices(answers[:count], scores[:count]) if count else (None,) * len(NAMES)
            for name, answer in zip(NAMES, chosen):
                grades.setdefault((name, size), {})[problem.id] = [right[answer]]
            spent = sum(step.num_tokens for sample in samples[:size] for step in sample.steps)
            tokens.setdefault(size, []).append(spent)
            size *= 2
    return [
        row(name, size, grades[name, size], sum(tokens[size]) / len(tokens[size]))
        for name in NAMES
        for size in tokens
    ]


def row(label: str, samples: int | None, grades: dict[str, Any], tokens: float) -> dict[str, Any]:
    found = accuracy(grades)
    ends = found.interval
    return {
        "label": label,
        "samples": samples,
        "problems": found.total,
        "accuracy": found.value,
        "ci95": None if ends is None else [ends.low, ends.high],
        "policy_tokens": tokens,
    }


def others(folder: Path) -> list[dict[str, Any]]:
    """Return a row for each other strategy of the run."""
    plan, journal = open_run(folder)
    with closing(journal):
        rows = read_rows(plan, journal, grade=load_task(plan).grade)
    found = []
    for label in plan.labels:
        own = [one for one in rows if one.label == label and not label.startswith(VOTED)]
        if own:
            grades = {one.problem_id: [one.correct] for one in own}
            found.append(row(label, None, grades, sum(r.policy_tokens for r in own) / len(own)))
    return found


def plot(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    figure = load("matplotlib.figure").Figure(figsize=(7.2, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for label in dict.fromkeys(one["label"] for one in rows):
        own = [one for one in rows if one["label"] == label and one["accuracy"] is not None]
        values = [100 * one["accuracy"] for one in own]
        marker = "o-" if own[0]["samples"] else "*"
        axes.plot([one["policy_tokens"] for one in own], values, marker, label=label)
    axes.set_xscale("log")
    axes.set_ylim(0, 100)
    axes.set_xlabel("policy tokens per problem (mean, log scale)")
    axes.set_ylabel("accuracy, %")
    axes.grid(True, color="#dddddd", linewidth=0.6)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=160, metadata={"Software": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    rows = [*curves(folder), *others(folder)]
    (folder / "voting.json").write_text(json.dumps(rows, indent=1) + "\n")
    plot(folder / "voting.png", rows)
    for one in rows:
        low, high = one["ci95"] or (0, 1)
        print(
            f"{one['label']:18} {one['samples'] or '':>4} {100 * one['accuracy']:5.1f}% "
            f"({100 * low:.1f} to {100 * high:.1f}) {one['policy_tokens']:8,.0f} tokens"
        )


if __name__ == "__main__":
    main()
