"""Recipe stage that makes the labelled solutions for the reward model, shard by shard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stepnav.core.records import Problem
from stepnav.labels.records import StepRecord, write_records
from stepnav.labels.stepwise import read_records
from stepnav.zoo.domain import Count, Domain, Making, Sampler
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


def label_solutions(making: Making, model: Any) -> None:
    """Label solutions of training problems that the language model has not seen.

    One file per shard is written; one that is there is kept. Progress has the share without an
    error in the last shard, None before its end.

    Args:
      making: the run.
      model: the policy.
    """
    folder, domain, scale = making.work / "labelled", making.domain, making.scale
    progress = making.stage("labels")
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
        problems = [
            domain.problem(domain.training_id(making.seed + 1, n)) for n in range(start, end)
        ]
        seed = making.seed * 10_007 + number
        sampler = policy_sampler(domain, model, making.tokenizer, temperatures, seed=seed)

        def count(done: int, of: int, *, first: int = start, size: int = end - start) -> None:
            progress(first + size * done // max(1, of), total, None)

        records = domain.label(problems, sampler, seed, count)
        write_records(path, records)
        progress(end, total, sum(-1 not in record.labels for record in records) / len(records))


def label_searched(making: Making, path: Path, prm: Path) -> None:
    """Label what searches draw on training problems that no other stage has seen.

    Args:
      making: the run; its policy searches.
      path: gets the records; a file that is there is kept.
      prm: folder of the reward model that steers it.
    """
    if path.exists():
        return
    domain, scale, seed = making.domain, making.scale, making.seed
    ids = range(scale.label_problems, scale.label_problems + scale.search_problems)
    problems = [domain.problem(domain.training_id(seed + 1, n)) for n in ids]
    sampler = search_sampler(making.policy, prm, seed=seed)
    progress = making.count_of("labels of searches")
    write_records(path, labelled_once(domain.label(problems, sampler, seed, progress)))


def shard_paths(folder: Path, scale: Scale) -> list[Path]:
    """Return the file of every shard, made yet or not."""
    num_shards = -(-scale.label_problems // scale.shard_problems)
    return [folder / f"records-{number:04d}.jsonl" for number in range(num_shards)]


def read_labelled(folder: Path) -> list[StepRecord]:
    """Return all labelled solutions, in order."""
    return [record for path in sorted(folder.glob("*.jsonl")) for record in read_records(path)]
