"""Recipe stage that measures the shipped models on held-out problems.

Its JSON is saved beside the weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from stepnav.core.records import Problem
from stepnav.labels.metrics import share
from stepnav.rewards.local.step_format import StepFormat
from stepnav.zoo.checked import GATE_SAMPLES
from stepnav.zoo.domain import Count, Domain, HeldOut, Making
from stepnav.zoo.gate import gate_report, threshold_report


def solve_rates(
    domain: Domain,
    model: Any,
    tokenizer: Any,
    problems: Sequence[Problem],
    *,
    samples: int,
    seed: int,
    progress: Count | None = None,
) -> tuple[dict[str, Any], list[list[str]]]:
    """Return greedy accuracy, and at temperature 1 mean accuracy, pass@k and the solutions.

    Args:
      domain: the task.
      model: a causal LM.
      tokenizer: its tokenizer.
      problems: held-out problems.
      samples: solutions per problem; 0 measures greedy accuracy only.
      seed: seeds the samples.
      progress: called with (solutions done, solutions in all).
    """
    import numpy as np

    from stepnav.zoo.training.sampling import SampleRequest, sample_solutions

    prompts = [domain.prompt(problem.question) for problem in problems]
    requests = [SampleRequest(prompt, 0.0) for prompt in prompts]
    requests += [SampleRequest(prompt, 1.0) for prompt in prompts for _ in range(samples)]
    texts = sample_solutions(model, tokenizer, requests, seed=seed, progress=progress)
    greedy, rest = texts[: len(problems)], texts[len(problems) :]
    right = np.array(domain.grade(problems, greedy))
    rates: dict[str, Any] = {"problems": len(problems), "greedy_accuracy": share(right)}
    if samples:
        repeated = [problem for problem in problems for _ in range(samples)]
        hits = np.array(domain.grade(repeated, rest)).reshape(len(problems), samples)
        rates["sampled_accuracy"] = share(hits.flatten())
        rates[f"pass_at_{samples}"] = share(np.asarray(hits.any(axis=1)))
    groups = [rest[number * samples : (number + 1) * samples] for number in range(len(problems))]
    return rates, groups


@dataclass(frozen=True, slots=True)
class RatedStep:
    """One labelled step and what a reward model says of it.

    Attributes:
      label, rating: -1, 0 or 1; the truth and the model's.
      negative_prob: the model's probability of -1.
      kind: what its record is told apart by, if by anything.
      index: its position in the solution.
    """

    label: int
    rating: int
    negative_prob: float
    kind: str | None
    index: int


def rate(prm: Any, tokenizer: Any, held_out: HeldOut, step_format: StepFormat) -> list[RatedStep]:
    """Return every labelled step as the reward model rates it; masked steps are left out."""
    from stepnav.zoo.training.scoring import class_probs

    solutions = [(record.prompt, record.completions) for record in held_out.records]
    negative = step_format.labels.index(-1)
    rated = []
    for probs, (number, index, label) in zip(
        (step for steps in class_probs(prm, tokenizer, solutions, step_format) for step in steps),
        _steps(held_out),
        strict=True,
    ):
        if label is not None:
            rating = step_format.labels[max(range(len(probs)), key=probs.__getitem__)]
            kind = None if held_out.kinds is None else held_out.kinds[number]
            rated.append(RatedStep(int(label), rating, probs[negative], kind, index))
    return rated


def _steps(held_out: HeldOut) -> Iterator[tuple[int, int, float | None]]:
    """Yield (record, step, label) of all steps."""
    for number, record in enumerate(held_out.records):
        for index, label in enumerate(record.labels):
            yield number, index, label


def report_of(steps: Sequence[RatedStep]) -> dict[str, Any]:
    """Return the gate's figures over some rated steps."""
    return gate_report(
        [step.label for step in steps],
        [step.rating for step in steps],
        [step.negative_prob for step in steps],
    )


def gate_on(
    held_out: HeldOut,
    prm: Any,
    tokenizer: Any,
    step_format: StepFormat,
    *,
    baselines: dict[str, Any],
) -> dict[str, Any]:
    """Return the gate's figures on one set of labelled solutions, beside the likelihood baselines.

    Args:
      held_out: labelled solutions of held-out problems.
      prm: a token classifier.
      tokenizer: the tokenizer of all models.
      step_format: how the PRM reads steps.
      baselines: causal LMs by name; the lowest token log-probability of a step under each is a
        training-free rater.
    """
    from stepnav.zoo.training.scoring import lowest_logprobs

    steps = rate(prm, tokenizer, held_out, step_format)
    report = report_of(steps)
    if held_out.kinds is not None:
        report["kinds"] = {
            kind: report_of([step for step in steps if step.kind == kind])
            for kind in sorted(set(held_out.kinds))
        }
        report["step_indices"] = {
            str(index): report_of([step for step in steps if step.index == index])
            for index in sorted({step.index for step in steps})
        }
    solutions = [(record.prompt, record.completions) for record in held_out.records]
    is_labelled = [label is not None for _, _, label in _steps(held_out)]
    labels = [step.label for step in steps]
    report["likelihood_baselines"] = {}
    for name, model in baselines.items():
        rows = lowest_logprobs(model, tokenizer, solutions, step_format)
        lows = [low for low, kept in zip((low for row in rows for low in row), is_labelled) if kept]
        report["likelihood_baselines"][name] = threshold_report(labels, [-low for low in lows])
    return report


def evaluate_models(
    making: Making,
    *,
    policy: Any,
    backbone: Any,
    prm: Any,
    step_format: StepFormat,
    split: str,
    known: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return everything that is claimed of the shipped models, measured on one split.

    Args:
      making: the run.
      policy, backbone, prm: the policy, the language model that the PRM grew from, and the PRM.
      step_format: how the PRM reads steps.
      split: "dev" while tuning; "test" once, at the end.
      known: an evaluation of the same policy and backbone, whose figures are taken over; solutions
        are then drawn for the PRM alone, and the backbone, which is the normalised one then, is no
        baseline.
    """
    domain, scale, seed, tokenizer = making.domain, making.scale, making.seed, making.tokenizer
    problems = domain.load(split, scale.eval_problems, seed)
    rates, groups = solve_rates(
        domain,
        policy,
        tokenizer,
        problems,
        samples=scale.eval_samples if known is None else GATE_SAMPLES,
        seed=seed,
        progress=making.count_of("evaluation"),
    )
    baselines = {"policy": policy}
    if known is None:
        baselines = {"backbone": backbone, **baselines}
        other, _ = solve_rates(domain, backbone, tokenizer, problems, samples=0, seed=seed)
        known = {"split": split, "policy": rates, "backbone": other}
    labelled = domain.hold_out(problems, groups, seed, making.count_of("evaluation's labels"))
    gate, *others = (
        (held_out.name, gate_on(held_out, prm, tokenizer, step_format, baselines=baselines))
        for held_out in labelled
    )
    return {
        "split": known["split"],
        "seed": seed,
        "policy": known["policy"],
        "backbone": known["backbone"],
        "gate_problems": len(problems),
        "gate_split": split,
        "gate_on": gate[0],
        "gate": gate[1],
        "other_gates": dict(others),
    }
