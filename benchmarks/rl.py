"""What learning from the reward buys, with and without search, and whether the reward is deceived.

    python benchmarks/rl.py --out runs/results/rl [--tokens 400000 --problems 200 --seeds 3]

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

from rl_report import ACCEPTED, BUDGET, METHODS, STRATEGIES, TASK, write_report

import stepnav
from stepnav import build
from stepnav.core.compute import prepare
from stepnav.core.errors import BackendError
from stepnav.tasks.arithmetic import problems as arithmetic
from stepnav.train.reward_function import RewardFunction, as_reward_function

ROOT = Path(__file__).resolve().parents[1]
TRAINING_SEED = 1000
"""Problems that are trained on are drawn from here on: not those of the policy's own training."""
GRPO_RATE, FIT_RATE = 2e-4, 1e-3
PROBLEMS_PER_STEP = 8
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
        steps=10_000, max_tokens=cell.tokens // 2, samples=8, batch_size=32,
        problems_per_step=PROBLEMS_PER_STEP,
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


def num_tokens(tokenizer: Any, solution: str) -> int:
    """Return the tokens of a solution, its end included."""
    return len(tokenizer.encode(solution, add_special_tokens=False)) + 1


def train_sft(cell: Cell, policy: Path) -> dict[str, Any]:
    """Learn so many reference solutions, each once, as the tokens allow."""
    from transformers import AutoTokenizer

    from stepnav.train.pairs import Pair

    tokenizer = AutoTokenizer.from_pretrained(policy)
    pairs, left = [], cell.tokens
    for problem in arithmetic.load("train", cell.tokens // 40, cell.drawn_from):
        pair = Pair(problem.question, "".join(arithmetic.solve(problem.id)))
        left -= num_tokens(tokenizer, pair.completion)
        if left < 0:
            break
        pairs.append(pair)
    report = fit(str(policy), pairs, cell.folder, epochs=1.0, seed=cell.seed)
    return {"generated": 0, "learnt": report.labels, "updates": report.fit.steps}


def train_expert(cell: Cell, policy: Path) -> dict[str, Any]:
    """Half of a round's tokens are generated; what is kept is learnt until the other half is."""
    from transformers import AutoTokenizer

    from stepnav.train.rl.expert import Found, improve, round_model

    tokenizer = AutoTokenizer.from_pretrained(policy)
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
        tokens = sum(num_tokens(tokenizer, pair.completion) for pair in pairs)
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
    parser.add_argument("--tokens", type=int, default=400_000)
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
