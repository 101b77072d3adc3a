"""Two threads beside one busy process, against one thread: the engine and the training.

Each figure is the best of `--repeats`; every measurement is a process of its own, in turns. The
busy process computes without end. "spinning" sets OMP_WAIT_POLICY=ACTIVE, as threads wait where
nothing is set.

    python benchmarks/threads.py [--model FOLDER] [--repeats 3] [--json]

Without --model, a random Llama of about 55 million parameters: the engine runs smaller ones on one
thread in any case.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WAYS = {
    "1 thread": {"OMP_NUM_THREADS": "1"},
    "2 threads": {"OMP_NUM_THREADS": "2"},
    "2 threads, spinning": {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "ACTIVE"},
}
WORK = ("engine", "training")
UNIT = {"engine": "tokens/s", "training": "steps/s"}
BAR = 0.9


def save_model(folder: Path) -> Path:
    """Write the random Llama."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from stepnav.zoo.tokenizer import train_tokenizer

    tokenizer = train_tokenizer(["3 + 4 = 7, and 7 - 2 = 5.\n" * 4], vocab_size=512)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=768, intermediate_size=2048, num_hidden_layers=8,
        num_attention_heads=12, num_key_value_heads=4, max_position_embeddings=512,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def engine_rate(folder: Path) -> float:
    """Return tokens per second of eight completions at a time."""
    from stepnav.core.records import Problem, Trajectory
    from stepnav.core.requests import Complete, Sampling
    from stepnav.policies.local import LocalPolicy

    policy = LocalPolicy(folder, device="cpu")
    prefix = Trajectory(Problem("p", "3 + 4 = 7, and 7 - 2 is what?"))

    def run(limit: int) -> int:
        policy.submit(0, Complete(prefix, sampling=Sampling(max_tokens=limit), n=8, seed=1))
        while not (answers := policy.poll(60.0)):
            pass
        return answers[0][1].usage.policy_tokens  # type: ignore[union-attr, no-any-return]

    run(4)
    start = time.monotonic()
    return run(64) / (time.monotonic() - start)


def training_rate(folder: Path) -> float:
    """Return optimizer steps per second of a full fine-tuning."""
    from stepnav.train.finetune import finetune_policy
    from stepnav.train.fit import FitSettings
    from stepnav.train.pairs import Pair

    times: list[float] = []
    pairs = [Pair(f"{n} + 4 = ?", f"{n} + 4 = {n + 4}\n" * 8) for n in range(64)]
    settings = FitSettings(max_steps=9, batch_size=4, save_every=0, cpu=True)
    with tempfile.TemporaryDirectory() as out:
        finetune_policy(
            str(folder), pairs, Path(out) / "model", settings=settings,
            progress=lambda *_: times.append(time.monotonic()),
        )  # fmt: skip
    return (len(times) - 1) / (times[-1] - times[0])


def measure(work: str, way: str, folder: Path) -> float:
    """Return a rate, measured in a process of its own beside a busy one."""
    ours = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    clean = {name: value for name, value in os.environ.items() if name not in ours}
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        done = subprocess.run(
            [sys.executable, __file__, "--model", str(folder), "--only", work],
            env={**clean, **WAYS[way]}, check=True, stdout=subprocess.PIPE,
        )  # fmt: skip
    finally:
        busy.kill()
        busy.wait()
    return float(done.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", choices=WORK, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        from stepnav.core.compute import prepare

        prepare()
        print({"engine": engine_rate, "training": training_rate}[options.only](options.model))
        return
    with tempfile.TemporaryDirectory() as folder:
        model = options.model or save_model(Path(folder))
        runs = [
            (work, way, measure(work, way, model))
            for _ in range(options.repeats)
            for work in WORK
            for way in WAYS
        ]
    rates = {
        w: {way: max(r for a, b, r in runs if (a, b) == (w, way)) for way in WAYS} for w in WORK
    }
    if options.json:
        print(json.dumps(rates))
        return
    for work, found in rates.items():
        for way, rate in found.items():
            share = rate / found["1 thread"]
            print(f"{work:10} {way:22} {rate:8.2f} {UNIT[work]:9} {share:5.2f} of one thread")
    shares = [found["2 threads"] / found["1 thread"] for found in rates.values()]
    print(f"bar {BAR}: {'met' if min(shares) >= BAR else 'MISSED'}")


if __name__ == "__main__":
    main()
