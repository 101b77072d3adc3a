"""What self-assessment costs beside a process reward model: tokens, FLOPs, processor seconds.

The same solutions, drawn greedily by the policy, are scored by the reward model in one pass each,
and by the policy as its own judge, a question a step. "Charged" is what a search pays (each prompt
whole); "processed" what the engine really computed, with the worked examples kept in its cache.
Seconds are of this process on one thread, scoring alone, after one solution to warm up.

    python benchmarks/judge.py --task arithmetic --problems 32
    python benchmarks/judge.py --task gsm8k --data test.jsonl --policy ./model --reward ./prm

`--untrained-reward` puts the policy's own backbone under a new head, for its cost; `--save FILE`
adds the result to a file and writes the table in docs/reward-models.md anew; `--evaluation FOLDER`
adds what `stepnav eval-prm --reward judge:MODEL --out FOLDER` found instead: how good the judge is.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from publish import ROOT, replace_block, table

from stepnav.build.folders import model_folder
from stepnav.build.models import open_models
from stepnav.build.tasks import load_task
from stepnav.core.backend import Answer, Backend
from stepnav.core.budget import Usage
from stepnav.core.records import Step, Trajectory
from stepnav.core.requests import Complete, Request, Sampling
from stepnav.policies.local import LocalPolicy
from stepnav.rewards.judge import JudgeReward
from stepnav.run.scoring import score_trajectories
from stepnav.tasks.task import Task

DOCUMENT = ROOT / "docs" / "reward-models.md"
SIDES = {
    "prm": "reward model, one pass",
    "answer": "judge, by its answer",
    "logprob": "judge, by a log-probability",
}


@dataclass(frozen=True, slots=True)
class Cost:
    """What a side costs, per solution.

    Attributes:
      model, num_parameters: who scores.
      charged_tokens: what a search pays.
      processed_tokens: what the engine computed; None where it does not tell.
      flops: 2 x parameters x charged tokens.
      cpu_seconds: processor seconds.
      questions: asked of a judge, those asked again included.
      unreadable: share of steps that no reply could be read of.
      rejected: share of steps rated -1.
    """

    model: str
    num_parameters: int
    charged_tokens: float
    processed_tokens: float | None
    flops: float
    cpu_seconds: float
    questions: float | None
    unreadable: float | None
    rejected: float


class Meter:
    """Passes everything on to a policy and adds up what it processed."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.tokens = 0

    def poll(self, timeout_s: float) -> list[tuple[int, Any]]:
        """Return what was answered."""
        found = self._backend.poll(timeout_s)
        self.tokens += sum(_processed(a.usage) for _, a in found if isinstance(a, Answer))
        return found

    def close(self) -> None:
        """Leave the policy open; it is measured again."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)


def _processed(usage: Usage) -> int:
    return usage.policy_prompt_tokens - usage.policy_cached_tokens + usage.policy_tokens


def draw(policy: Backend, task: Task, count: int, data: Path | None) -> list[Trajectory]:
    """Return finished greedy solutions of development problems."""
    split = "dev" if "dev" in task.splits else task.default_split
    requests: dict[int, Request] = {
        ticket: Complete(Trajectory(problem), 1, Sampling(0.0, max_tokens=200), seed=0)
        for ticket, problem in enumerate(task.load(split, count, 0, data))
    }
    for ticket, request in requests.items():
        policy.submit(ticket, request)
    found: dict[int, Trajectory] = {}
    while len(found) < len(requests):
        found |= {ticket: answer.items[0] for ticket, answer in policy.poll(1.0)}
    return [_with_plain_steps(found[ticket]) for ticket in requests if found[ticket].steps]


def _with_plain_steps(trajectory: Trajectory) -> Trajectory:
    """Return it as a reward model is given it, without the policy's own tokens."""
    return Trajectory(trajectory.problem, tuple(Step(s.text, s.finish) for s in trajectory.steps))


def measure(
    backend: Backend, solutions: Sequence[Trajectory], model: str, num_parameters: int
) -> Cost:
    """Return what scoring costs, the first solution left out."""
    meter = getattr(backend, "model", None)
    list(score_trajectories(backend, solutions[:1]))
    counts = dict(getattr(backend, "counts", {}))
    processed = meter.tokens if meter else 0
    scored, began = solutions[1:], time.process_time()
    answers = [answer for _, answer in score_trajectories(backend, scored)]
    seconds = (time.process_time() - began) / len(scored)
    for answer in answers:
        if not isinstance(answer, Answer):
            raise answer
    charged = sum(answer.prefix_tokens[-1] for answer in answers) / len(scored)
    scores = [score for answer in answers for score in answer.items]
    counts = {name: value - counts[name] for name, value in getattr(backend, "counts", {}).items()}
    return Cost(
        model=Path(model).name,
        num_parameters=num_parameters,
        charged_tokens=charged,
        processed_tokens=(meter.tokens - processed) / len(scored) if meter else charged,
        flops=2 * num_parameters * charged,
        cpu_seconds=seconds,
        questions=counts["asked"] / len(scored) if counts else None,
        unreadable=counts["unreadable"] / len(scores) if counts else None,
        rejected=sum(score.rating < 0 for score in scores) / len(scores),
    )


def untrained_reward(folder: Path) -> Backend:
    """Return a reward model of a model's backbone under a head that knows nothing."""
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    from stepnav.rewards.families.prm import PRM
    from stepnav.rewards.local.reward import LocalReward

    torch.manual_seed(0)
    model = AutoModelForTokenClassification.from_pretrained(folder, num_labels=3)
    return LocalReward.open(PRM, model.eval(), AutoTokenizer.from_pretrained(folder))


def compare(args: argparse.Namespace) -> dict[str, Any]:
    """Return the costs of all sides on one task."""
    task = load_task(args.task)
    name = args.policy or args.task
    reward = None if args.untrained_reward else args.reward or args.task
    with open_models(policy=name, reward=reward, task=task) as models:
        policy, prm = models.policy, models.reward
        assert isinstance(policy, LocalPolicy), "a model in this process is measured"
        if prm is None:
            prm = untrained_reward(model_folder("policy", name))
        solutions = draw(policy, task, args.problems + 1, args.data)
        costs = {"prm": measure(prm, solutions, str(reward or name), prm.num_parameters)}
        for read in ("answer", "logprob"):
            policy.close()  # what the other side left in its cache
            judge = JudgeReward(Meter(policy), read=read)
            costs[read] = measure(judge, solutions, name, policy.num_parameters)
    return {
        "task": args.task,
        "policy": Path(name).name,
        "solutions": len(solutions) - 1,
        "steps": sum(len(solution.steps) for solution in solutions[1:]) / (len(solutions) - 1),
        "is_trained": not args.untrained_reward,
        "costs": {side: asdict(cost) for side, cost in costs.items()},
    }


def evaluated(folder: Path) -> dict[str, Any]:
    """Return what an evaluation found of a judge."""
    report = json.loads((folder / "report.json").read_text())
    kind, _, model = report["reward"].partition(":")
    kept = ("solutions", "problems", "dtype", "reward_tokens")
    figures = report["figures"]
    return {
        "task": f"{report['kind']} {Path(report['data']).name.partition('.')[0]}, {kind}",
        "policy": Path(model).name,
        "evaluation": {key: report[key] for key in kept},
        "auroc": figures["auroc_first_errors"],
        "errors": figures["by_rating_all"]["error_accuracy"],
        "right": figures["by_rating_all"]["correct_accuracy"],
    }


def evaluation_in_words(one: dict[str, Any]) -> str:
    """Return a sentence about how good a judge is."""
    low, high = one["auroc"]["ci95"]
    errors, right = one["errors"], one["right"]
    return (
        f"How good `{one['policy']}` is as a judge ({one['task']}, the first "
        f"{one['evaluation']['solutions']} solutions, {one['evaluation']['dtype']}): AUROC of "
        f"first errors {one['auroc']['value']:.2f} ({low:.2f} to {high:.2f}), {errors['hits']} of "
        f"{errors['solutions']} first errors found, {right['hits']} of {right['solutions']} right "
        "solutions accepted."
    )


def in_words(found: Sequence[dict[str, Any]]) -> str:
    """Return the tables, one for each task and policy, and what evaluations found."""
    parts = []
    for one in found:
        if "evaluation" in one:
            parts.append(evaluation_in_words(one))
            continue
        prm = one["costs"]["prm"]
        rows = [
            [
                SIDES[side],
                f"{cost['num_parameters'] / 1e6:.1f}M",
                "" if cost["questions"] is None else f"{cost['questions']:.1f}",
                f"{cost['charged_tokens']:.0f} "
                f"({cost['charged_tokens'] / prm['charged_tokens']:.0f} x)",
                f"{cost['processed_tokens']:.0f}",
                f"{cost['flops'] / 1e9:.2f} ({cost['flops'] / prm['flops']:.1f} x)",
                f"{1000 * cost['cpu_seconds']:.0f} "
                f"({cost['cpu_seconds'] / prm['cpu_seconds']:.1f} x)",
                "" if cost["unreadable"] is None else f"{100 * cost['unreadable']:.0f}%",
            ]
            for side, cost in one["costs"].items()
        ]
        header = ["side", "parameters", "questions", "tokens charged", "processed"]
        header += ["GFLOP", "CPU ms", "steps unreadable"]
        head = "" if one["is_trained"] else ", the reward model being its own backbone untrained"
        parts.append(
            f"{one['solutions']} greedy solutions of {one['task']} by `{one['policy']}`{head}, "
            f"{one['steps']:.1f} steps each; per solution:\n\n" + table(header, rows)
        )
    return "\n\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", default="arithmetic")
    parser.add_argument("--problems", type=int, default=32)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--policy")
    parser.add_argument("--reward")
    parser.add_argument("--untrained-reward", action="store_true")
    parser.add_argument("--evaluation", type=Path)
    parser.add_argument("--save", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    found = [compare(args) if args.evaluation is None else evaluated(args.evaluation)]
    if args.save is not None:
        known = json.loads(args.save.read_text()) if args.save.exists() else []
        new = found[0]["task"], found[0]["policy"]
        found = [one for one in known if (one["task"], one["policy"]) != new] + found
        args.save.write_text(json.dumps(found, indent=1) + "\n")
        replace_block(DOCUMENT, "judge", in_words(found))
    print(in_words(found))


if __name__ == "__main__":
    main()
