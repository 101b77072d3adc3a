"""Recipe stage that makes the labelled solutions for the reward model, shard by shard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from stepnav.core.records import Problem
from stepnav.labels.records import StepRecord, write_records
from stepnav.labels.stepwise import read_records
from stepnav.zoo.domain import Count, Domain, Sampler
from stepnav.zoo.scale import Scale
from stepnav.zoo.searched import labelled_once, search_sampler


def policy_sampler(
    domain: Domain, model: Any, tokenizer: Any, temperatures: Sequence[float], *, seed: int
) -> Sampler:
    """Return what draws one solution per problem and temperature from the policy."""

    def sample(problems: Sequence[Problem], progress: Count) -> list[list[str]]:
        from stepnav.zoo.training.sampling import SampleRequest, sample_solutions

        requests = [
            SampleRequest(domain.prompt(problem.question), temperature)
            for problem in problems
            for temperature in temperatures
        ]
        texts = sample_solutions(model, tokenizer, requests, seed=seed, progress=progress)
        size = len(temperatures)
        return [texts[start : start + size] for start in range(0, len(texts), size)]

    return sample


def label_solutions(
    folder: Path,
    domain: Domain,
    model: Any,
    tokenizer: Any,
    scale: Scale,
    *,
    seed: int,
    progress: Callable[[int, int, float | None], None],
) -> None:
    """Label solutions of training problems that the language model has not seen.

    Args:
      folder: gets one file per shard; a file that is there is kept.
      domain: the task.
      model: the policy.
      tokenizer: its tokenizer.
      scale: numbers of problems and samples.
      seed: seeds problems and samples.
      progress: called with (done, in all, share without an error in the last shard, None before its
        end).
    """
    folder.mkdir(parents=True, exist_ok=True)
    total = scale.label_problems
    temperatures = [
        scale.temperatures[n % len(scale.temperatures)] for n in range(scale.samples_per_problem)
    ]
    for number, path in enumerate(shard_paths(folder, scale)):
        if path.exists():
            continue
        start = number * scale.shard_problems
        end = min(start + scale.shard_problems, total)
        problems = [domain.problem(domain.training_id(seed + 1, n)) for n in range(start, end)]
        shard_seed = seed * 10_007 + number
        sampler = policy_sampler(domain, model, tokenizer, temperatures, seed=shard_seed)

        def count(done: int, of: int, *, first: int = start, size: int = end - start) -> None:
            progress(first + size * done // max(1, of), total, None)

        records = domain.label(problems, sampler, shard_seed, count)
        write_records(path, records)
        progress(end, total, sum(-1 not in record.labels for record in records) / len(records))


def label_searched(
    path: Path,
    domain: Domain,
    policy: Path,
    prm: Path,
    scale: Scale,
    *,
    seed: int,
    progress: Count,
) -> None:
    """Label what searches draw on training problems that no other stage has seen.

    Args:
      path: gets the records; a file that is there is kept.
      domain: the task.
      policy, prm: folders of the models that search.
      scale: the number of problems.
      seed: seeds problems and searches.
      progress: called with (problems done, problems in all).
    """
    if path.exists():
        return
    ids = range(scale.label_problems, scale.label_problems + scale.search_problems)
    problems = [domain.problem(domain.training_id(seed + 1, n)) for n in ids]
    sampler = search_sampler(policy, prm, seed=seed)
    write_records(path, labelled_once(domain.label(problems, sampler, seed, progress)))


def shard_paths(folder: Path, scale: Scale) -> list[Path]:
    """Return the file of every shard, made yet or not."""
    num_shards = -(-scale.label_problems // scale.shard_problems)
    return [folder / f"records-{number:04d}.jsonl" for number in range(num_shards)]


def read_labelled(folder: Path) -> list[StepRecord]:
    """Return all labelled solutions, in order."""
    return [record for path in sorted(folder.glob("*.jsonl")) for record in read_records(path)]
