"""The local policy beside `model.generate`, and prefix reuse beside reading all again.

Both sides run the same weights in the same process, in turns; the best of `--repeats` counts.

1. 256 step requests over prefixes of different length, 64 at a time, nothing cached before, with
   step lengths drawn as those of large models are spread, and with the model's own step ends. The
   baseline gets 64 left-padded prompts a batch, its own SDPA attention and dynamic cache, and a
   stopping criterion that marks each row when its own step is done, by table look-up: it loses only
   what it must, the passes until a batch's longest step is done. Useful tokens count on both sides.
2. A tree search: at each depth of a solution, `--branching` proposals per problem, 64 rows at a
   time, with the bare question and with one worked example before it. The baselines read the whole
   prefix at each step: our engine with its cache off, and `model.generate`.

    python benchmarks/engine.py [--model FOLDER] [--dtype bfloat16] [--json]
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from stepnav.core.records import Problem, Step, Trajectory
from stepnav.core.requests import Propose, Sampling
from stepnav.policies.local import LocalPolicy, PolicyFormat
from stepnav.tasks.arithmetic import problems as arithmetic
from stepnav.zoo.tokenizer import train_tokenizer

ZOO = Path(__file__).resolve().parents[1] / "src" / "stepnav" / "zoo" / "models"
BATCH = 64
STEP_LIMIT = 64
NEVER = "\x00"


def solved_problems(count: int, *, min_steps: int = 1) -> list[Trajectory]:
    """Return reference solutions of development problems."""
    found: list[Trajectory] = []
    index = 0
    while len(found) < count:
        problem = arithmetic.problem(f"arithmetic-dev-1-{index}")
        steps = tuple(Step(text) for text in arithmetic.solve(problem.id))
        if len(steps) >= min_steps:
            found.append(Trajectory(Problem(problem.id, problem.question), steps))
        index += 1
    return found


def load(folder: Path | None, *, num_labels: int | None = None) -> tuple[Any, Any, str]:
    """Return (model, tokenizer, name): a folder's, the shipped policy, or a small random Llama."""
    from transformers import (
        AutoModelForCausalLM,
        AutoModelForTokenClassification,
        AutoTokenizer,
        LlamaConfig,
    )
    from transformers.utils import logging

    logging.disable_progress_bar()
    kind = AutoModelForCausalLM if num_labels is None else AutoModelForTokenClassification
    if folder is not None:
        model = kind.from_pretrained(folder, dtype=torch.float32)
        return model.eval(), AutoTokenizer.from_pretrained(folder), folder.name
    texts = [item.problem.question + "\n" + item.text for item in solved_problems(200)]
    tokenizer = train_tokenizer(texts, vocab_size=1024)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=512,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        num_labels=num_labels or 2,
    )
    return kind.from_config(config).eval(), tokenizer, "random-llama-128x3"


def tokenised(items: Sequence[Trajectory], tokenizer: Any) -> list[Trajectory]:
    """Return the trajectories with the tokens of each step, as steps that a policy wrote have."""
    return [
        Trajectory(
            item.problem,
            tuple(
                Step(
                    step.text,
                    token_ids=tuple(tokenizer.encode(step.text, add_special_tokens=False)),
                )
                for step in item.steps
            ),
        )
        for item in items
    ]


def step_requests(num: int, tokenizer: Any, *, drawn: bool) -> list[Propose]:
    """Return requests from all depths, of 4 to 160 tokens (exponential, mean about 30)."""
    rng = random.Random(0)
    requests = []
    for number, item in enumerate(tokenised(solved_problems(num), tokenizer)):
        depth = rng.randrange(len(item.steps))
        limit = min(160, 4 + int(rng.expovariate(1 / 28))) if drawn else STEP_LIMIT
        prefix = Trajectory(item.problem, item.steps[:depth])
        requests.append(Propose(prefix, sampling=Sampling(1.0, max_tokens=limit), seed=number))
    return requests


def run_engine(policy: LocalPolicy, requests: Sequence[Propose]) -> int:
    """Return the tokens generated."""
    for ticket, request in enumerate(requests):
        policy.submit(ticket, request)
    left, tokens = len(requests), 0
    while left:
        for _, answer in policy.poll(1.0):
            tokens += answer.usage.policy_tokens
            left -= 1
    return tokens


class Generator:
    """`model.generate`, batch by batch, each row stopped at its own step end."""

    def __init__(self, model: Any, tokenizer: Any, separator: str = "\n") -> None:
        self.model, self.tokenizer = model, tokenizer
        pieces = [tokenizer.decode([token]) for token in range(len(tokenizer))]
        self.ends = torch.tensor([separator in piece for piece in pieces])
        self.ends[tokenizer.eos_token_id] = True

    def run(self, requests: Sequence[Propose]) -> int:
        """Return the tokens generated that belong to a step."""
        return sum(
            self._batch(requests[start : start + BATCH]) for start in range(0, len(requests), BATCH)
        )

    def _batch(self, requests: Sequence[Propose]) -> int:
        texts = [item.prefix.problem.question + "\n" + item.prefix.text for item in requests]
        self.tokenizer.padding_side = "left"
        inputs = self.tokenizer(texts, return_tensors="pt", padding=True)
        start = inputs.input_ids.shape[1]
        limits = torch.tensor([item.sampling.max_tokens or STEP_LIMIT for item in requests])
        lengths = torch.zeros_like(limits)

        def stop(ids: Any, _scores: Any, **_: Any) -> Any:
            count = ids.shape[1] - start
            done = self.ends[ids[:, -1]] | (limits <= count)
            lengths[(lengths == 0) & done] = count
            return lengths > 0

        with torch.inference_mode():
            self.model.generate(
                input_ids=inputs.input_ids,
                attention_mask=inputs.attention_mask,
                do_sample=True,
                temperature=1.0,
                top_k=0,
                top_p=1.0,
                max_new_tokens=int(limits.max()),
                eos_token_id=self.tokenizer.eos_token_id,
                pad_token_id=self.tokenizer.pad_token_id,
                stopping_criteria=[stop],
            )
        return int(lengths.sum())


class ForwardClock:
    """Seconds spent inside a model's forward passes."""

    def __init__(self, model: Any) -> None:
        self.seconds = 0.0
        self._began = 0.0
        model.register_forward_pre_hook(self._start)
        model.register_forward_hook(self._stop)

    def _start(self, *_: Any) -> None:
        self._began = time.perf_counter()

    def _stop(self, *_: Any) -> None:
        self.seconds += time.perf_counter() - self._began


def best_of(repeats: int, *sides: Callable[[], int]) -> list[tuple[float, float, int]]:
    """Return each side's best (wall seconds, CPU seconds, tokens), run in turns."""
    best: list[tuple[float, float, int]] = [(float("inf"), float("inf"), 0)] * len(sides)
    for _ in range(repeats):
        for index, side in enumerate(sides):
            wall, cpu = time.perf_counter(), time.process_time()
            tokens = side()
            found = (time.perf_counter() - wall, time.process_time() - cpu, tokens)
            best[index] = min(best[index], found)
    return best


def compare_generate(model: Any, tokenizer: Any, repeats: int, *, drawn: bool) -> dict[str, Any]:
    """Continuous batching against batched generation.

    Drawn lengths replace the model's own step ends: neither side stops at the separator.
    """
    requests = step_requests(4 * BATCH, tokenizer, drawn=drawn)
    separator = NEVER if drawn else "\n"
    plain = Generator(copy.deepcopy(model), tokenizer, separator)
    ours = copy.deepcopy(model)
    clock = ForwardClock(ours)
    walls: list[float] = []

    def engine() -> int:
        policy = LocalPolicy(
            ours, tokenizer, max_batch=BATCH, format=PolicyFormat(separator=separator)
        )
        began, clock.seconds = time.perf_counter(), 0.0
        tokens = run_engine(policy, requests)
        walls.append(clock.seconds / (time.perf_counter() - began))
        return tokens

    (wall, cpu, tokens), (wall_0, cpu_0, tokens_0) = best_of(
        repeats, engine, lambda: plain.run(requests)
    )
    return {
        "requests": len(requests),
        "tokens": tokens,
        "tokens_generate": tokens_0,
        "tokens_per_s": round(tokens / wall),
        "tokens_per_s_generate": round(tokens_0 / wall_0),
        "ratio_wall": round(tokens / wall / (tokens_0 / wall_0), 2),
        "ratio_cpu": round(tokens / cpu / (tokens_0 / cpu_0), 2),
        "forward_share": round(max(walls), 3),
    }


def proposals(item: Trajectory, depth: int, branching: int) -> list[Propose]:
    """Return what a search asks at one node of the fixed tree."""
    prefix = Trajectory(item.problem, item.steps[:depth])
    return [
        Propose(prefix, sampling=Sampling(1.0, max_tokens=16), seed=100 * depth + child)
        for child in range(branching)
    ]


def run_searches(policy: LocalPolicy, items: Sequence[Trajectory], branching: int) -> int:
    """Walk down each solution, asking for proposals at each depth; return the tokens generated.

    Each search goes on as soon as its own proposals are there.
    """
    where: dict[int, int] = {}
    open_at = [0] * len(items)
    depth_of = [-1] * len(items)
    tokens = 0

    def go_on(number: int) -> None:
        depth_of[number] += 1
        if depth_of[number] == len(items[number].steps):
            return
        for request in proposals(items[number], depth_of[number], branching):
            ticket = len(where)
            where[ticket] = number
            open_at[number] += 1
            policy.submit(ticket, request)

    for number in range(len(items)):
        go_on(number)
    while any(open_at):
        for ticket, answer in policy.poll(1.0):
            number = where[ticket]
            tokens += answer.usage.policy_tokens
            open_at[number] -= 1
            if not open_at[number]:
                go_on(number)
    return tokens


def run_rounds(plain: Generator, items: Sequence[Trajectory], branching: int) -> int:
    """Do the same with `model.generate`, all proposals of a depth together, 64 rows a batch."""
    depths = max(len(item.steps) for item in items)
    tokens = 0
    for depth in range(depths):
        requests = [
            request
            for item in items
            if depth < len(item.steps)
            for request in proposals(item, depth, branching)
        ]
        tokens += plain.run(requests)
    return tokens


def with_example(items: Sequence[Trajectory]) -> list[Trajectory]:
    """Return the problems with another, solved one before the question, as a one-shot prompt."""
    shown = [
        Trajectory(
            Problem(
                item.problem.id,
                f"{other.problem.question}\n{other.text}\n\n{item.problem.question}",
            ),
            item.steps,
        )
        for item, other in zip(items, reversed(items))
    ]
    return shown


def compare_reuse(
    model: Any, tokenizer: Any, branching: int, repeats: int, *, one_shot: bool
) -> dict[str, Any]:
    """Prefix reuse against reading each prefix again, over one fixed tree."""
    items = tokenised(solved_problems(2 * BATCH // branching, min_steps=6), tokenizer)
    items = with_example(items)[: BATCH // branching] if one_shot else items
    plain = Generator(copy.deepcopy(model), tokenizer)
    ours = copy.deepcopy(model)
    read: dict[int | None, int] = {}

    def engine(cache_tokens: int | None) -> int:
        policy = LocalPolicy(ours, tokenizer, max_batch=BATCH, cache_tokens=cache_tokens)
        tokens = run_searches(policy, items, branching)
        read[cache_tokens] = policy.runner.num_read_tokens - tokens
        return tokens

    reuse, without, generate = best_of(
        repeats,
        lambda: engine(None),
        lambda: engine(0),
        lambda: run_rounds(plain, items, branching),
    )
    return {
        "problems": len(items),
        "proposals": sum(len(item.steps) for item in items) * branching,
        "tokens": reuse[2],
        "prefix_tokens_read": read[None],
        "prefix_tokens_read_without_reuse": read[0],
        "seconds": round(reuse[0], 3),
        "seconds_without_reuse": round(without[0], 3),
        "seconds_generate": round(generate[0], 3),
        "ratio_wall": round(without[0] / reuse[0], 2),
        "ratio_cpu": round(without[1] / reuse[1], 2),
        "ratio_wall_generate": round(generate[0] / reuse[0], 2),
        "ratio_cpu_generate": round(generate[1] / reuse[1], 2),
    }


def print_table(result: dict[str, Any]) -> None:
    for name, part in result.items():
        if isinstance(part, dict):
            print(name)
            for key, value in part.items():
                print(f"  {key:28} {value}")
        else:
            print(f"{name:30} {part}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="model folder; default the shipped policy")
    parser.add_argument("--random", action="store_true", help="a small random Llama instead")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--branching", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    shipped = ZOO / "arithmetic-policy"
    folder = options.model or (shipped if shipped.exists() and not options.random else None)
    model, tokenizer, name = load(folder)
    model = model.to(getattr(torch, options.dtype))
    result = {
        "model": name,
        "dtype": options.dtype,
        "threads": torch.get_num_threads(),
        "drawn_lengths": compare_generate(model, tokenizer, options.repeats, drawn=True),
        "own_lengths": compare_generate(model, tokenizer, options.repeats, drawn=False),
        "reuse": compare_reuse(
            model, tokenizer, options.branching, options.repeats, one_shot=False
        ),
        "reuse_one_shot": compare_reuse(
            model, tokenizer, options.branching, options.repeats, one_shot=True
        ),
    }
    if options.json:
        print(json.dumps(result))
    else:
        print_table(result)


if __name__ == "__main__":
    main()
