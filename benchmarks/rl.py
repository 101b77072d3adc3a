"""What learning from the reward buys, with and without search, and whether the reward is deceived.

    python benchmarks/rl.py --out runs/results/rl [--tokens 100000 --problems 200 --seeds 3]

The shipped arithmetic policy learns in four ways at equal training tokens, from several seeds:
GRPO on the grade, GRPO on the reward model's values of steps (credit to the step, no grade), expert
iteration on its own right samples, and fine-tuning on reference solutions. Training tokens are
those of solutions, generated and under the loss, each time they are; prompts and the reward model's
tokens are not counted. Then each model solves the same test problems by greedy chain of thought and
by HGS at 250 tokens, with the shipped reward model.

A deceived reward shows as solutions that the reward model accepts (no step below 0.5) and the
checker refuses: of all, of the wrong ones, and of the right ones that it refuses, beside tokens and
steps of a solution. Needs TRL (`pip install 'stepnav[rl]'`). Each training and each comparison is
resumable; what is done is in `rl.json` and `report.md`, made again after each model.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import stepnav
from stepnav import build
from stepnav.core.compute import prepare
from stepnav.core.errors import BackendError
from stepnav.measure.stats.cluster import Clusters, ratio
from stepnav.tasks.arithmetic import problems as arithmetic
from stepnav.train.reward_function import RewardFunction, as_reward_function

ROOT = Path(__file__).resolve().parents[1]
TASK = "arithmetic"
BUDGET = 250
TRAINING_SEED = 1000
"""Problems that are trained on are drawn from here on: not those of the policy's own training."""
STRATEGIES = ("cot", "hgs")
METHODS = ("base", "grpo outcome", "grpo steps", "expert", "sft")
ACCEPTED = 0.5

GRPO_RATE, FIT_RATE = 3e-4, 1e-3
ROUNDS = 3
REFERENCE_TOKENS = 90
"""About so many tokens has a solution."""


@dataclass(frozen=True)
class Cell:
    """One training: its method, its seed, the tokens that it may generate and learn, its folder."""

    method: str
    seed: int
    tokens: int
    folder: Path

    @property
    def drawn_from(self) -> int:
        """Seed of the problems that are trained on."""
        return TRAINING_SEED + self.seed


def train_grpo(cell: Cell, policy: Path, reward: RewardFunction, *, steps: bool) -> dict[str, Any]:
    from stepnav.train.rl.grpo import GrpoSettings, train_grpo

    task = build.load_task(TASK)
    settings = GrpoSettings(
        steps=10_000, max_tokens=cell.tokens // 2, problems_per_step=4, samples=8, batch_size=32,
        learning_rate=GRPO_RATE, max_new_tokens=224, outcome_weight=0.0 if steps else 1.0,
        reward_weight=1.0 if steps else 0.0, credit="step", seed=cell.seed, save_every=5, cpu=True,
    )  # fmt: skip
    report = train_grpo(
        str(policy), task.load("train", 1000, cell.drawn_from, None), task, cell.folder,
        reward=reward, reward_name=TASK, format_=build.policy_format(policy, task),
        settings=settings, resume=True,
    )  # fmt: skip
    return {"generated": report.tokens, "learnt": report.tokens, "updates": report.fit.steps}


def fit(model: str, pairs: Sequence[Any], out: Path, *, epochs: float, seed: int) -> Any:
    from stepnav.train.finetune import finetune_policy
    from stepnav.train.fit import FitSettings

    settings = FitSettings(
        epochs=epochs, learning_rate=FIT_RATE, batch_size=32, seed=seed, save_every=0, cpu=True
    )
    return finetune_policy(model, pairs, out, settings=settings, resume=True)


def train_sft(cell: Cell, policy: Path) -> dict[str, Any]:
    """Learn so many reference solutions, each once, as the tokens allow."""
    from transformers import AutoTokenizer

    from stepnav.train.pairs import Pair

    tokenizer = AutoTokenizer.from_pretrained(policy)
    pairs, left = [], cell.tokens
    for problem in arithmetic.load("train", cell.tokens // 40, cell.drawn_from):
        pair = Pair(problem.question, "".join(arithmetic.solve(problem.id)))
        left -= len(tokenizer.encode(pair.completion, add_special_tokens=False)) + 1
        if left < 0:
            break
        pairs.append(pair)
    report = fit(str(policy), pairs, cell.folder, epochs=1.0, seed=cell.seed)
    return {"generated": 0, "learnt": report.labels, "updates": report.fit.steps}


def train_expert(cell: Cell, policy: Path) -> dict[str, Any]:
    """Half of a round's tokens are generated; what is kept is learnt until the other half is."""
    from stepnav.train.rl.expert import Found, improve, round_model

    share = cell.tokens // ROUNDS
    learnt: list[int] = []

    def search(model: str, number: int, folder: Path) -> list[Found]:
        found = stepnav.bench(
            TASK, ["cot:temperature=1"], policy=model, count=share // 2 // REFERENCE_TOKENS // 4,
            seeds=4, split="train", seed=cell.drawn_from + 100 * number, out=folder, max_active=192,
        )  # fmt: skip
        return [
            Found(tree.result.outcome.trajectory, row.correct, None, row.policy_tokens, 0)
            for row, tree in zip(found.rows, found.trees, strict=True)
        ]

    def finetune(model: str, pairs: Sequence[Any], out: Path) -> Any:
        tokens = sum(len(pair.completion) for pair in pairs) / 3.1  # characters of a token
        epochs = max(1.0, round(share / 2 / tokens, 2))
        report = fit(model, pairs, out, epochs=epochs, seed=cell.seed)
        learnt.append(round(report.labels * epochs))
        (out / "epochs.json").write_text(json.dumps(learnt[-1]))
        return report

    rounds = improve(str(policy), cell.folder, rounds=ROUNDS, search=search, finetune=finetune)
    for path in round_model(cell.folder, ROUNDS).iterdir():
        if path.is_file():
            shutil.copyfile(path, cell.folder / path.name)
    models = [round_model(cell.folder, number) for number in range(1, ROUNDS + 1)]
    return {
        "generated": sum(one.policy_tokens for one in rounds),
        "learnt": sum(json.loads((model / "epochs.json").read_text()) for model in models),
        "updates": sum(one.steps for one in rounds),
    }


def train(cell: Cell, policy: Path, reward: RewardFunction) -> dict[str, Any]:
    """Return what a training came to; its model is in the cell's folder."""
    trainings: dict[str, Callable[[], dict[str, Any]]] = {
        "grpo outcome": partial(train_grpo, cell, policy, reward, steps=False),
        "grpo steps": partial(train_grpo, cell, policy, reward, steps=True),
        "expert": partial(train_expert, cell, policy),
        "sft": partial(train_sft, cell, policy),
    }
    return trainings[cell.method]()


def accepted(reward: RewardFunction, tree: Any) -> bool | None:
    """Return whether the reward model accepts a solution; None where there is none to rate."""
    solution = tree.result.outcome.trajectory
    if solution is None or not solution.is_finished:
        return None
    (scores,) = reward.scores([solution])
    if isinstance(scores, BackendError):
        return None
    return min(score.value for score in scores) >= ACCEPTED


def num_steps(tree: Any) -> int:
    solution = tree.result.outcome.trajectory
    return 0 if solution is None else len(solution.steps)


def evaluate(model: Path, out: Path, reward: RewardFunction, args: Any) -> list[dict[str, Any]]:
    """Return one row for each test problem and strategy."""
    found = stepnav.bench(
        TASK, list(STRATEGIES), policy=str(model), reward=reward.backend, budgets=(BUDGET,),
        count=args.problems, split=args.split, out=out, max_active=192,
    )  # fmt: skip
    return [
        {
            "strategy": row.strategy,
            "problem": row.problem_id,
            "right": row.correct is True,
            "accepted": accepted(reward, tree),
            "tokens": row.policy_tokens,
            "steps": num_steps(tree),
        }
        for row, tree in zip(found.rows, found.trees, strict=True)
    ]


def share(rows: Sequence[dict[str, Any]], top: str, bottom: str = "all") -> dict[str, Any]:
    """Return a mean or a share with its interval; problems are resampled, with all their seeds.

    Args:
      rows: of one method and strategy, all seeds.
      top: what is summed up: `right`, `tokens`, `steps`, or `accepted wrong`.
      bottom: of which rows: `all`, or the `wrong` ones.
    """
    clusters = Clusters.of_keys([row["problem"] for row in rows])
    values = {
        "accepted wrong": [float(bool(row["accepted"]) and not row["right"]) for row in rows],
        "refused right": [float(row["accepted"] is False and row["right"]) for row in rows],
        "all": [1.0] * len(rows),
        "wrong": [float(not row["right"]) for row in rows],
    }
    tops = values.get(top) or [float(row[top]) for row in rows]
    sums = clusters.sums(np.array(tops)), clusters.sums(np.array(values[bottom]))
    return clusters.estimate(ratio(*sums)).to_json()


def gain(rows: Sequence[dict[str, Any]], base: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return how many more are right than of the starting model, on the same problems."""
    before = {row["problem"]: row["right"] for row in base}
    clusters = Clusters.of_keys([row["problem"] for row in rows])
    apart = [float(row["right"]) - float(before[row["problem"]]) for row in rows]
    counts = clusters.sums([1.0] * len(rows))
    return clusters.estimate(ratio(clusters.sums(apart), counts)).to_json()


def summary(cells: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one row for each method and strategy that has been run."""
    found = []
    base = [row for one in cells if one["method"] == "base" for row in one["rows"]]
    for method in METHODS:
        own = [one for one in cells if one["method"] == method]
        for strategy in STRATEGIES if own else ():
            rows = [row for one in own for row in one["rows"] if row["strategy"] == strategy]
            before = [row for row in base if row["strategy"] == strategy]
            found.append(
                {
                    "method": method,
                    "strategy": strategy,
                    "seeds": len(own),
                    "training": [one["training"] for one in own],
                    "right": share(rows, "right"),
                    "right_by_seed": [
                        share([r for r in one["rows"] if r["strategy"] == strategy], "right")[
                            "value"
                        ]
                        for one in own
                    ],
                    "gain": gain(rows, before),
                    "tokens": share(rows, "tokens"),
                    "steps": share(rows, "steps"),
                    "accepted_wrong": share(rows, "accepted wrong"),
                    "accepted_of_wrong": share(rows, "accepted wrong", "wrong"),
                    "refused_right": share(rows, "refused right"),
                }
            )
    return found


def percent(estimate: dict[str, Any], sign: str = "") -> str:
    if estimate["value"] is None:
        return ""
    text = f"{100 * estimate['value']:{sign}.1f}%"
    low, high = estimate["ci95"] or (None, None)
    return text if low is None else f"{text} ({100 * low:{sign}.1f} to {100 * high:{sign}.1f})"


HEADER = (
    *("training", "then", "right (95% interval)", "seeds: least to most", "gain over no training"),
    *("tokens", "steps", "accepted and wrong", "of the wrong: accepted", "refused and right"),
)


def table(rows: Sequence[dict[str, Any]]) -> str:
    lines = ["| " + " | ".join(HEADER) + " |", "| :-- | :-- |" + " --: |" * (len(HEADER) - 2)]
    for row in rows:
        seeds = row["right_by_seed"]
        cells = (
            row["method"],
            row["strategy"],
            percent(row["right"]),
            f"{100 * min(seeds):.1f} to {100 * max(seeds):.1f}" if len(seeds) > 1 else "",
            "" if row["method"] == "base" else percent(row["gain"], "+"),
            f"{row['tokens']['value']:.0f}",
            f"{row['steps']['value']:.2f}",
            percent(row["accepted_wrong"]),
            percent(row["accepted_of_wrong"]),
            percent(row["refused_right"]),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def costs(rows: Sequence[dict[str, Any]]) -> str:
    """Return what the trainings came to: means over seeds."""
    names = ("generated", "learnt", "updates")
    lines = ["| training | seeds | tokens generated | tokens learnt | updates |"]
    lines.append("| :-- | --: | --: | --: | --: |")
    for row in rows:
        if row["strategy"] == STRATEGIES[0] and row["method"] != "base":
            means = [sum(one[name] for one in row["training"]) / row["seeds"] for name in names]
            lines.append(
                f"| {row['method']} | {row['seeds']} | "
                + " | ".join(f"{mean:,.0f}" for mean in means)
                + " |"
            )
    return "\n".join(lines)


def sampled(cells: Sequence[dict[str, Any]], size: int = 5) -> str:
    """Return what GRPO's own samples were like in its first and its last updates."""
    names = ("right", "process", "accepted_wrong", "steps_per_solution", "tokens_per_solution")
    lines = [
        "| training | updates | right | least step value | accepted and wrong | steps | tokens |"
    ]
    lines.append("| :-- | :-- |" + " --: |" * len(names))
    for method in METHODS:
        logs = [one["log"] for one in cells if one["method"] == method and one["log"]]
        for title, part in (("first", slice(None, size)), ("last", slice(-size, None))):
            rows = [row for log in logs for row in log[part]]
            if rows:
                means = [sum(row[name] for row in rows) / len(rows) for name in names]
                shares = " | ".join(f"{100 * mean:.1f}%" for mean in means[:3])
                lines.append(
                    f"| {method} | {title} {size} | {shares} | {means[3]:.2f} | {means[4]:.0f} |"
                )
    return "\n".join(lines)


def write_report(out: Path, cells: Sequence[dict[str, Any]], args: Any) -> str:
    rows = summary(cells)
    kept = {"tokens": args.tokens, "problems": args.problems, "split": args.split, "rows": rows}
    (out / "rl.json").write_text(json.dumps(kept, indent=1) + "\n")
    text = (
        f"{args.problems} problems of the {TASK} {args.split} split; greedy chain of thought (cot) "
        f"and HGS at {BUDGET} policy tokens with the shipped reward model. About {args.tokens:,} "
        "training tokens each: those of solutions, generated and under the loss. Intervals "
        "resample problems, with all their seeds; accepted: no step's value is below 0.5.\n\n"
        f"{table(rows)}\n\nWhat the trainings came to, mean of the seeds:\n\n{costs(rows)}\n\n"
        f"GRPO's own samples on training problems, mean of the seeds:\n\n{sampled(cells)}\n"
    )
    (out / "report.md").write_text(text)
    return text


def run_cell(cell: Cell, policy: Path, reward: RewardFunction, args: Any) -> dict[str, Any]:
    """Return a model's training and its rows, made now or read back."""
    done = cell.folder.with_suffix(".json")
    if done.exists():
        return dict(json.loads(done.read_text()))
    began = time.monotonic()
    is_base = cell.method == "base"
    training = {} if is_base else train(cell, policy, reward)
    trained_s = time.monotonic() - began
    log = cell.folder / "log.jsonl"
    rows = evaluate(policy if is_base else cell.folder, cell.folder / "test", reward, args)
    found = {
        "method": cell.method,
        "seed": cell.seed,
        "training": training,
        "trained_s": round(trained_s),
        "log": [json.loads(line) for line in log.read_text().splitlines()]
        if cell.method.startswith("grpo")
        else [],
        "rows": rows,
    }
    done.write_text(json.dumps(found) + "\n")
    return found


def say(found: dict[str, Any]) -> None:
    parts = []
    for strategy in STRATEGIES:
        right = [row["right"] for row in found["rows"] if row["strategy"] == strategy]
        parts.append(f"{strategy} {100 * sum(right) / len(right):.1f}%")
    print(
        f"{found['method']}, seed {found['seed']}: {', '.join(parts)}; {found['training']} in "
        f"{found['trained_s']} s",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tokens", type=int, default=100_000)
    parser.add_argument("--problems", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--split", default="test")
    parser.add_argument("--publish", action="store_true", help="copy the report to docs/results/rl")
    args = parser.parse_args()
    prepare()  # before torch is loaded
    args.out.mkdir(parents=True, exist_ok=True)
    policy = build.policy_folder(TASK)
    assert policy is not None, "the policy ships"
    cells: list[dict[str, Any]] = []
    with closing(build.open_reward(TASK)) as backend:
        reward = as_reward_function(backend)
        for seed in range(args.seeds):
            for method in METHODS:
                if method == "base" and seed:
                    continue
                folder = args.out / f"{method.replace(' ', '-')}-{seed}"
                cells.append(
                    run_cell(Cell(method, seed, args.tokens, folder), policy, reward, args)
                )
                say(cells[-1])
                text = write_report(args.out, cells, args)
    print(text)
    if args.publish:
        place = ROOT / "docs" / "results" / "rl"
        place.mkdir(parents=True, exist_ok=True)
        for name in ("rl.json", "report.md"):
            shutil.copyfile(args.out / name, place / name)


if __name__ == "__main__":
    main()
