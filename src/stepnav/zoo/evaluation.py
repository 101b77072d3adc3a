"""Recipe stage that measures the shipped models on held-out problems; its JSON is saved beside the weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from stepnav.core.records import Problem
from stepnav.rewards.step_format import StepFormat
from stepnav.tasks import arithmetic
from stepnav.train.records import StepRecord
from stepnav.zoo.gate import gate_report, share, threshold_report
from stepnav.zoo.mistakes import labelled

GATE_SAMPLES = 2
"""Sampled solutions per problem that the gate is measured on."""


def solve_rates(
    model: Any,
    tokenizer: Any,
    problems: Sequence[Problem],
    *,
    samples: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[dict[str, Any], list[list[str]]]:
    """Return greedy accuracy, mean accuracy and pass@k at temperature 1, and the sampled solutions per problem.

    Args:
      model: a causal LM.
      tokenizer: its tokenizer.
      problems: held-out problems.
      samples: solutions per problem; 0 measures greedy accuracy only.
      seed: seeds the samples.
      progress: called with (solutions done, solutions in all).
    """
    import numpy as np

    from stepnav.train.sampling import SampleRequest, sample_solutions

    prompts = [arithmetic.PROMPT_TEMPLATE.format(question=problem.question) for problem in problems]
    requests = [SampleRequest(prompt, 0.0) for prompt in prompts]
    requests += [SampleRequest(prompt, 1.0) for prompt in prompts for _ in range(samples)]
    texts = sample_solutions(model, tokenizer, requests, seed=seed, progress=progress)
    greedy, rest = texts[: len(problems)], texts[len(problems) :]
    groups = [rest[number * samples : (number + 1) * samples] for number in range(len(problems))]
    right = np.array([arithmetic.grade(*pair) for pair in zip(problems, greedy, strict=True)])
    rates: dict[str, Any] = {"problems": len(problems), "greedy_accuracy": share(right)}
    if samples:
        hits = np.array(
            [
                [arithmetic.grade(problem, text) for text in group]
                for problem, group in zip(problems, groups, strict=True)
            ]
        )
        rates["sampled_accuracy"] = share(hits.flatten())
        rates[f"pass_at_{samples}"] = share(np.asarray(hits.any(axis=1)))
    return rates, groups


def gate_on_samples(
    prm: Any,
    tokenizer: Any,
    problems: Sequence[Problem],
    groups: Sequence[Sequence[str]],
    step_format: StepFormat,
    *,
    baselines: dict[str, Any],
) -> dict[str, Any]:
    """Return the gate's figures on sampled solutions, beside the likelihood baselines.

    Args:
      prm: a token classifier.
      tokenizer: the tokenizer of all models.
      problems: held-out problems.
      groups: the policy's own samples of each problem.
      step_format: how the PRM reads steps.
      baselines: causal LMs by name; the lowest token log-probability of a step under each is a training-free rater.
    """
    from stepnav.train.scoring import class_probs, lowest_logprobs

    records: list[StepRecord] = [
        labelled(problem, text)
        for problem, group in zip(problems, groups, strict=True)
        for text in group[:GATE_SAMPLES]
        if text
    ]
    solutions = [(record.prompt, record.completions) for record in records]
    labels = [int(label) for record in records for label in record.labels if label is not None]
    probs = [
        step for steps in class_probs(prm, tokenizer, solutions, step_format) for step in steps
    ]
    negative = step_format.labels.index(-1)
    ratings = [step_format.labels[max(range(len(step)), key=step.__getitem__)] for step in probs]
    report = gate_report(labels, ratings, [step[negative] for step in probs])
    report["likelihood_baselines"] = {
        name: threshold_report(
            labels,
            [
                -low
                for row in lowest_logprobs(model, tokenizer, solutions, step_format)
                for low in row
            ],
        )
        for name, model in baselines.items()
    }
    return report


def evaluate_models(
    *,
    policy: Any,
    backbone: Any,
    prm: Any,
    tokenizer: Any,
    step_format: StepFormat,
    split: str,
    num_problems: int,
    samples: int,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Return everything that is claimed of the shipped models, measured on one split.

    Args:
      policy, backbone, prm: the policy, the language model that the PRM grew from, and the PRM.
      tokenizer: the tokenizer of all three.
      step_format: how the PRM reads steps.
      split: "dev" while tuning; "test" once, at the end.
      num_problems: problems of that split.
      samples: solutions per problem for pass@k.
      seed: seeds the problems and the samples.
      progress: called with (the policy's solutions done, solutions in all).
    """
    problems = arithmetic.load(split, num_problems, seed)
    rates, groups = solve_rates(
        policy, tokenizer, problems, samples=samples, seed=seed, progress=progress
    )
    backbone_rates, _ = solve_rates(backbone, tokenizer, problems, samples=0, seed=seed)
    baselines = {"backbone": backbone, "policy": policy}
    gate = gate_on_samples(prm, tokenizer, problems, groups, step_format, baselines=baselines)
    return {"split": split, "seed": seed, "policy": rates, "backbone": backbone_rates, "gate": gate}
