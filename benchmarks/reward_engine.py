"""The reward engine with its cache beside scoring the whole prefix again at each step.

64 searches grow at once; after each step, all candidates of that step are scored. Three sides run
the same weights in turns, the best of `--repeats` counts: our engine; our engine with its cache
off; and plain `transformers`, 64 right-padded trajectories a batch.

    python benchmarks/reward_engine.py [--model FOLDER] [--json]
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from engine import BATCH, ZOO, ForwardClock, best_of, load, print_table, solved_problems
from stepnav.core.records import Step, Trajectory
from stepnav.core.requests import Score
from stepnav.rewards.families.prm import PRM
from stepnav.rewards.local.reward import LocalReward
from stepnav.rewards.local.step_format import StepFormat

CANDIDATES = 2


def scoring_rounds(num_searches: int, min_steps: int) -> list[list[Trajectory]]:
    """Return, for each depth, the trajectories scored then: each search's candidates."""
    items = solved_problems(num_searches, min_steps=min_steps)
    depths = max(len(item.steps) for item in items)
    rounds = []
    for depth in range(1, depths + 1):
        scored = []
        for item in items:
            if depth <= len(item.steps):
                right = item.steps[depth - 1]
                wrong = Step(right.text.translate(str.maketrans("123456789", "234567891")))
                for step in (right, wrong)[:CANDIDATES]:
                    scored.append(Trajectory(item.problem, (*item.steps[: depth - 1], step)))
        rounds.append(scored)
    return rounds


def run_engine(backend: LocalReward, rounds: Sequence[Sequence[Trajectory]]) -> list[float]:
    """Return the seconds of each round."""
    seconds = []
    for scored in rounds:
        began = time.perf_counter()
        for ticket, trajectory in enumerate(scored):
            backend.submit(ticket, Score(trajectory))
        left = len(scored)
        while left:
            left -= len(backend.poll(1.0))
        seconds.append(time.perf_counter() - began)
    return seconds


def run_plain(
    model: Any, tokenizer: Any, form: StepFormat, rounds: Sequence[Sequence[Trajectory]]
) -> tuple[list[float], int]:
    """Return the seconds of each round and the tokens read, padding left out."""
    seconds, tokens = [], 0
    for scored in rounds:
        began = time.perf_counter()
        for start in range(0, len(scored), BATCH):
            encoded = [
                form.encode(tokenizer, item.problem.question, [step.text for step in item.steps])
                for item in scored[start : start + BATCH]
            ]
            longest = max(len(ids) for ids, _ in encoded)
            rows = [ids + [0] * (longest - len(ids)) for ids, _ in encoded]
            with torch.inference_mode():
                probs = model(input_ids=torch.tensor(rows)).logits.softmax(-1)
            for row, (ids, ends) in enumerate(encoded):
                probs[row, ends].tolist()
                tokens += len(ids)
        seconds.append(time.perf_counter() - began)
    return seconds, tokens


def compare(model: Any, tokenizer: Any, form: StepFormat, repeats: int) -> dict[str, Any]:
    """Return costs in tokens and seconds, over all depths and from the sixth step on."""
    rounds = scoring_rounds(BATCH, 6)
    plain, ours = copy.deepcopy(model), copy.deepcopy(model)
    clock = ForwardClock(ours)
    late: dict[str, float] = {}
    read: dict[str, int] = {}
    share = 0.0

    def engine(name: str, cache_tokens: int | None) -> int:
        nonlocal share
        backend = LocalReward.open(
            PRM, ours, tokenizer, format=form, max_batch=BATCH, cache_tokens=cache_tokens
        )
        clock.seconds = 0.0
        seconds = run_engine(backend, rounds)
        if cache_tokens is None:
            share = clock.seconds / sum(seconds)
        late[name] = min(late.get(name, float("inf")), sum(seconds[5:]))
        read[name] = backend.runner.num_read_tokens
        return read[name]

    def whole() -> int:
        seconds, tokens = run_plain(plain, tokenizer, form, rounds)
        late["plain"] = min(late.get("plain", float("inf")), sum(seconds[5:]))
        read["plain"] = tokens
        return tokens

    cached, uncached, baseline = best_of(
        repeats, lambda: engine("cached", None), lambda: engine("uncached", 0), whole
    )
    return {
        "scored": sum(map(len, rounds)),
        "depths": len(rounds),
        "new_tokens": new_tokens(rounds, tokenizer, form),
        "tokens_read": read["cached"],
        "tokens_read_without_cache": read["uncached"],
        "tokens_read_plain": read["plain"],
        "seconds": round(cached[0], 3),
        "ratio_wall": round(uncached[0] / cached[0], 2),
        "ratio_wall_plain": round(baseline[0] / cached[0], 2),
        "ratio_cpu": round(uncached[1] / cached[1], 2),
        "ratio_cpu_plain": round(baseline[1] / cached[1], 2),
        "ratio_wall_from_step_6": round(late["uncached"] / late["cached"], 2),
        "ratio_wall_plain_from_step_6": round(late["plain"] / late["cached"], 2),
        "forward_share": round(share, 3),
    }


def new_tokens(rounds: Sequence[Sequence[Trajectory]], tokenizer: Any, form: StepFormat) -> int:
    """Return the tokens that must be read: each prompt once, and each scored step's own."""
    prompts = {item.problem.question for item in rounds[0]}
    total = sum(len(form.encode_prompt(tokenizer, question)) for question in prompts)
    for scored in rounds:
        total += sum(len(form.encode_step(tokenizer, item.steps[-1].text)) for item in scored)
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="reward model folder; default the shipped one")
    parser.add_argument("--random", action="store_true", help="a small random Llama instead")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    shipped = ZOO / "arithmetic-prm"
    folder = options.model or (shipped if shipped.exists() and not options.random else None)
    form = StepFormat() if folder is None else StepFormat.load(folder)
    model, tokenizer, name = load(folder, num_labels=len(form.labels))
    result = {
        "model": name,
        "threads": torch.get_num_threads(),
        "reward": compare(model, tokenizer, form, options.repeats),
    }
    if options.json:
        print(json.dumps(result))
    else:
        print_table(result)


if __name__ == "__main__":
    main()
