"""One part of benchmarks/gpu.sh, which says what is measured; writes its figures as JSON.

python benchmarks/gpu.py PART [--model NAME] [--small] --json FILE
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from gpu_models import RANDOM, ours, plain, tokenizer_of

from engine import NEVER, run_engine, solved_problems
from stepnav.core.records import Trajectory
from stepnav.core.requests import Propose, Sampling
from stepnav.engine.row import Row
from stepnav.engine.runner import Runner
from stepnav.policies.local import LocalPolicy, PolicyFormat


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured, and where."""

    device: str
    batches: tuple[int, ...]
    new_tokens: int
    prompts: int
    trajectories: int
    steps: int


GPU = Size("cuda", (1, 64, 256), 128, 32, 512, 100)
SMALL = Size("cpu", (1, 4), 8, 4, 6, 3)
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def timed(size: Size, call: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds of a call, the GPU's work included, and what it returned."""
    wait = torch.cuda.synchronize if size.device == "cuda" else lambda: None
    wait()
    began = time.perf_counter()
    found = call()
    wait()
    return time.perf_counter() - began, found


def machine(size: Size, _: Any) -> dict[str, Any]:
    """Measure what bounds everything: bytes copied and products computed in a second."""
    large = torch.empty(2**30 if size.device == "cuda" else 2**24, dtype=torch.uint8)
    source = large.to(size.device)
    target = torch.empty_like(source)
    target.copy_(source)
    copied, _ = timed(size, lambda: [target.copy_(source) for _ in range(10)])
    side = 8192 if size.device == "cuda" else 256
    square = torch.randn(side, side, device=size.device, dtype=torch.bfloat16)
    torch.mm(square, square)
    multiplied, _ = timed(size, lambda: [torch.mm(square, square) for _ in range(10)])
    tiny = torch.ones(1, device=size.device)
    launched, _ = timed(size, lambda: [tiny.add_(1) for _ in range(1000)])
    is_gpu = size.device == "cuda"
    return {
        "device": torch.cuda.get_device_name() if is_gpu else "cpu",
        "memory": torch.cuda.mem_get_info()[1] if is_gpu else None,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "python": sys.version.split()[0],
        "bytes_per_s": 2 * 10 * source.numel() / copied,
        "bfloat16_flops": 10 * 2 * side**3 / multiplied,
        "launch_us": 1e3 * launched,
    }


def logits_of(model: Any, rows: Sequence[list[int]], *, graphs: bool) -> list[Any]:
    """Return the engine's logits at all tokens of rows after the fourth, fed one by one."""
    runner = Runner(model, max_batch=len(rows), cache_tokens=0, graphs=graphs)
    running = [Row(tokens[:4], (3,), room=len(tokens)) for tokens in rows]
    for row in running:
        runner.submit(row)
    runner.admit()
    found: list[list[Any]] = [[] for _ in rows]
    for at in range(4, len(rows[0]) + 1):
        asked, outputs = runner.forward()
        for (row, _), logits in zip(asked, outputs.clone()):
            number = running.index(row)
            found[number].append(logits)
            if not row.is_settled:
                runner.settle(row)
            if at < len(rows[number]):
                row.tokens.append(rows[number][at])
    return [torch.stack(logits) for logits in found]


def equality(size: Size, options: Any) -> dict[str, Any]:
    """Compare logits with transformers' own, fed what `generate` writes greedily.

    In bfloat16 both are compared with float32: the engine should not be further from it.
    """
    tokenizer = tokenizer_of(options.model)
    result: dict[str, Any] = {}
    exact: list[Any] = []
    rows: list[list[int]] = []
    for name, dtype in DTYPES.items():
        reference = plain(options.model, size.device, dtype, small=options.small)
        if not rows:
            rows = written(reference, tokenizer, size)
        ids = torch.tensor(rows, device=size.device)
        with torch.inference_mode():
            expected = list(reference(ids).logits.float()[:, 3:])
        exact = exact or expected
        del reference
        model = ours(options.model, size.device, dtype, small=options.small)
        for graphs in (False, True):
            found = logits_of(model, rows, graphs=graphs)
            result[f"{name}, {'graphs' if graphs else 'no graphs'}"] = {
                "largest difference": distance(found, expected),
                "same likeliest token": agreement(found, expected),
                "from float32": distance(found, exact),
                "transformers from float32": distance(expected, exact),
                "replays": getattr(getattr(model, "graphs", None), "num_replays", None),
            }
    return result


def written(model: Any, tokenizer: Any, size: Size) -> list[list[int]]:
    """Return prompts, cut to one length, with what `generate` adds to them greedily."""
    prompts = torch.tensor(prompt_ids(tokenizer, size.prompts), device=size.device)
    with torch.inference_mode():
        return model.generate(
            prompts,
            attention_mask=torch.ones_like(prompts),
            do_sample=False,
            max_new_tokens=size.new_tokens,
            min_new_tokens=size.new_tokens,
            pad_token_id=tokenizer.pad_token_id,
        ).tolist()


def prompt_ids(tokenizer: Any, count: int) -> list[list[int]]:
    """Return the tokens of questions, each cut to the shortest one's length."""
    texts = [item.problem.question + "\n" for item in solved_problems(count)]
    ids = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
    return [item[: min(map(len, ids))] for item in ids]


def distance(found: Sequence[Any], expected: Sequence[Any]) -> float:
    """Return the largest difference, in parts of the logits' spread."""
    one, other = torch.stack(list(found)), torch.stack(list(expected))
    return float((one - other).abs().max() / other.std())


def agreement(found: Sequence[Any], expected: Sequence[Any]) -> float:
    """Return how often the likeliest token is the same."""
    one, other = torch.stack(list(found)), torch.stack(list(expected))
    return float((one.argmax(-1) == other.argmax(-1)).float().mean())


def speed(size: Size, options: Any) -> dict[str, Any]:
    """Measure the engine's tokens a second, and the bound of reading the weights once a pass."""
    tokenizer = tokenizer_of(options.model)
    result: dict[str, Any] = {}
    for name, dtype in DTYPES.items():
        model = ours(options.model, size.device, dtype, small=options.small)
        result[f"{name} bytes"] = sum(p.numel() * p.element_size() for p in model.parameters())
        for batch in size.batches:
            for graphs in (True, False):
                label = f"{name}, batch {batch}, {'graphs' if graphs else 'no graphs'}"
                result[label] = engine_speed(model, tokenizer, batch, size, graphs=graphs)
                save(options.json, result)  # what is known if the time runs out
    return result


def engine_speed(
    model: Any, tokenizer: Any, batch: int, size: Size, *, graphs: bool
) -> dict[str, float]:
    """Return tokens a second of the second of two equal runs, nothing kept between them."""
    policy = LocalPolicy(
        model, tokenizer, max_batch=batch, graphs=graphs, format=PolicyFormat(separator=NEVER)
    )
    items = solved_problems(2 * batch)
    sampling = Sampling(1.0, max_tokens=size.new_tokens)
    requests = [
        Propose(Trajectory(item.problem), sampling=sampling, seed=at)
        for at, item in enumerate(items)
    ]
    run_engine(policy, requests)
    policy.runner.tree.clear()
    passes = policy.runner.num_passes
    seconds, tokens = timed(size, lambda: run_engine(policy, requests))
    passes = policy.runner.num_passes - passes
    policy.close()
    return {"tokens_per_s": tokens / seconds, "ms_per_pass": 1e3 * seconds / passes}


def others(size: Size, options: Any) -> dict[str, Any]:
    """Measure `generate` and transformers' continuous batching in bfloat16."""
    from transformers import GenerationConfig

    tokenizer = tokenizer_of(options.model)
    model = plain(options.model, size.device, torch.bfloat16, small=options.small)
    result: dict[str, Any] = {}
    config = GenerationConfig(
        do_sample=True, max_new_tokens=size.new_tokens, min_new_tokens=size.new_tokens,
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id, top_k=0,
    )  # fmt: skip
    for batch in size.batches:
        prompts = prompt_ids(tokenizer, batch)
        ids = torch.tensor(prompts, device=size.device)

        def generate(ids: Any = ids) -> Any:
            with torch.inference_mode():
                return model.generate(
                    ids, attention_mask=torch.ones_like(ids), generation_config=config
                )

        seconds = min(timed(size, generate)[0] for _ in range(2))
        result[f"generate, batch {batch}"] = {"tokens_per_s": batch * size.new_tokens / seconds}
        save(options.json, result)
    with model.continuous_batching_context_manager(config, block=True, timeout=5) as manager:
        for batch in size.batches:
            prompts = prompt_ids(tokenizer, 2 * batch)
            run = partial(continuous, manager, prompts, size.new_tokens)
            run()
            seconds, tokens = timed(size, run)
            result[f"continuous batching, {2 * batch} requests"] = {
                "tokens_per_s": tokens / seconds
            }
            save(options.json, result)
    return result


def continuous(manager: Any, prompts: list[list[int]], new_tokens: int) -> int:
    """Return the tokens that transformers' continuous batching writes for some prompts."""
    names = manager.add_requests(inputs=prompts, max_new_tokens=new_tokens)
    found: dict[str, int] = {}
    while len(found) < len(names):
        result = manager.get_result(timeout=1)
        if result is not None and result.is_finished():
            found[result.request_id] = len(result.generated_tokens)
        elif result is None and not manager.is_running():
            raise RuntimeError("transformers' continuous batching has ended")
    return sum(found.values())


def save(path: Path, result: Any) -> None:
    path.with_suffix(".part").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    from gpu_rewards import score, train

    parts = {"machine": machine, "equality": equality, "speed": speed, "others": others}
    parts |= {"score": score, "train": train}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=parts)
    parser.add_argument("--model", default="arithmetic", help=f"arithmetic, {RANDOM} or a folder")
    parser.add_argument("--small", action="store_true", help="on the CPU, at small size")
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    size = SMALL if options.small else GPU
    result = parts[options.part](size, options)
    save(options.json, result)
    options.json.with_suffix(".part").rename(options.json)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
