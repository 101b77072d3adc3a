"""Recipe stage that samples the policy and labels its steps with the exact checker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from stepnav.core.records import Problem
from stepnav.tasks import arithmetic
from stepnav.train.records import StepRecord, read_records, write_records
from stepnav.zoo.scale import Scale

SHARD_PROBLEMS = 5000


def split_solution(text: str) -> list[str]:
    """Return a solution's steps, each with the separator that was written after it."""
    return text.splitlines(keepends=True)


def labelled(problem: Problem, solution: str) -> StepRecord:
    """Return the solution up to and including its first wrong step, labelled by the checker.

    Steps after a first error are left out, as no label is meaningful there (Lightman et al. 2023, section 2.4).
    """
    steps = split_solution(solution)
    verdicts = arithmetic.rate_steps(problem, steps)
    wrong = [number for number, verdict in enumerate(verdicts) if verdict.rating == -1]
    end = wrong[0] + 1 if wrong else len(steps)
    return StepRecord(
        prompt=problem.question,
        completions=tuple(steps[:end]),
        labels=tuple(verdict.rating for verdict in verdicts[:end]),
        wrong_from=tuple(verdict.wrong_from for verdict in verdicts[:end]),
    )


def sample_records(
    model: Any,
    tokenizer: Any,
    problems: Sequence[Problem],
    temperatures: Sequence[float],
    *,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> list[StepRecord]:
    """Return one labelled solution per problem and temperature; `progress` counts solutions."""
    from stepnav.train.sampling import SampleRequest, sample_solutions

    pairs = [(problem, temperature) for problem in problems for temperature in temperatures]
    requests = [
        SampleRequest(arithmetic.PROMPT_TEMPLATE.format(question=problem.question), temperature)
        for problem, temperature in pairs
    ]
    solutions = sample_solutions(model, tokenizer, requests, seed=seed, progress=progress)
    return [
        labelled(problem, solution) for (problem, _), solution in zip(pairs, solutions, strict=True)
    ]


def sample_mistakes(
    folder: Path,
    model: Any,
    tokenizer: Any,
    scale: Scale,
    *,
    seed: int,
    progress: Callable[[int, int, float | None], None] | None = None,
    shards: tuple[int, int] = (0, 1),
) -> None:
    """Sample training problems that the language model has not seen, shard by shard.

    Args:
      folder: gets one file per shard; a file that is there is kept.
      model: the policy.
      tokenizer: its tokenizer.
      scale: numbers of problems and samples.
      seed: seeds problems and samples.
      progress: called with (solutions done, solutions in all, share of right ones in the last shard, None before its end).
      shards: (number, of how many): several processes may share the work.
    """
    folder.mkdir(parents=True, exist_ok=True)
    total = scale.sample_problems * scale.samples_per_problem
    for number, path in enumerate(shard_paths(folder, scale)):
        start = number * SHARD_PROBLEMS
        if path.exists() or number % shards[1] != shards[0]:
            continue
        end = min(start + SHARD_PROBLEMS, scale.sample_problems)
        problems = [
            arithmetic.problem(f"arithmetic-train-{seed + 1}-{index}")
            for index in range(start, end)
        ]
        temperatures = [
            scale.temperatures[sample % len(scale.temperatures)]
            for sample in range(scale.samples_per_problem)
        ]
        earlier = start * scale.samples_per_problem

        def count(done: int, _: int, *, before: int = earlier, share: float | None = None) -> None:
            if progress is not None:
                progress(before + done, total, share)

        records = sample_records(
            model, tokenizer, problems, temperatures, seed=seed * 10_007 + number, progress=count
        )
        write_records(path, records)
        count(len(records), len(records), share=_share_right(records))


def _share_right(records: Sequence[StepRecord]) -> float:
    return sum(-1 not in record.labels for record in records) / len(records)


def shard_paths(folder: Path, scale: Scale) -> list[Path]:
    """Return the file of every shard, sampled yet or not."""
    num_shards = -(-scale.sample_problems // SHARD_PROBLEMS)
    return [folder / f"records-{number:04d}.jsonl" for number in range(num_shards)]


def read_mistakes(folder: Path) -> list[StepRecord]:
    """Return all sampled records, in order."""
    return [
        record for path in sorted(folder.glob("records-*.jsonl")) for record in read_records(path)
    ]
