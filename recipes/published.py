"""Published set-ups, one command each: train what has to be trained, search, compare.

    python recipes/published.py --list
    python recipes/published.py qwen2.5-math-7b OUT [--policy P] [--reward R] [options of bench]

Killed and started again it goes on. Policies run in vLLM (`pip install vllm`); so do reward models
that it gives the scores of, the others in stepnav's own engine on the same GPU. The paper's set-ups
first train their reward model with `math_prm.sh` or `code_prm.sh`, whose variables can be set from
outside (MODEL, SFT_DATA, PRM_DATA, MBPP, LAUNCH); options of the training stand in TRAIN.

Hours are an estimate, not measured: 2 x parameters x tokens floating-point operations, the policy
at 5% and the reward model at 40% of an H100's 989e12 a second in bfloat16; tokens are at most
problems x (512 + budget x strategies but CoT), each of which the reward model reads once. Hours of
training are those of its script. Money: GPU hours x `--dollars`.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PEAK, POLICY_SHARE, REWARD_SHARE = 989e12, 0.05, 0.40
SOLUTION_TOKENS, BUDGET = 512, 4096
HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class SetUp:
    """One published set-up.

    Attributes:
      policy: hub name.
      reward: as `--reward` takes it; empty if `train` makes it.
      billions: parameters of the policy and of the reward model.
      tasks: name of each task, with how many problems.
      strategies: as `--strategies` takes them.
      figures: what was published, with its source.
      train: the recipe that makes the reward model, and its GPU hours.
      options: further options of `stepnav bench`.
    """

    policy: str
    reward: str
    billions: tuple[float, float]
    tasks: tuple[tuple[str, int], ...]
    strategies: str
    figures: str
    train: tuple[str, float] | None = None
    options: tuple[str, ...] = ()


TODAY = (
    "cot,self_consistency:samples=8,best_of_n:samples=8:aggregation=prod,"
    "weighted_vote:samples=8,beam,hgs,nav"
)
PAPER = "cot,hgs:replace=true:first_greedy=false:temperature={0},hgs,nav"
MATHS = (("gsm8k", 1319), ("math500", 500))
MATH = ("math_prm.sh", 20.0)
CODE = ("code_prm.sh", 4.0)
WIZARD = "GSM8K {0}, MATH {1}, pass@1 (WizardMath's model card, version 1.0)"
GAIN = (
    "; HGS-PRM over CoT with WizardMath-13B: GSM8K +2.2, MATH +3.3 points (Ma et al. 2023, arXiv "
    "2310.10080)"
)
HUMANEVAL = "HGS-PRM over CoT: HumanEval +3 to +5 points (Ma et al. 2023, arXiv 2310.10080)"
QWEN_PRM = "; the PRM: ProcessBench 73.5 F1 (Zhang et al. 2025, arXiv 2501.07301), PRMBench 65.5"
LLAMA = (
    "1B and 3B with search pass 8B and 70B without, as plots (Beeching et al. 2024, Hugging Face)"
)
RLHFLOW = (
    "the PRM with DeepSeek-7B, 1024 samples: GSM8K 83.9 -> 93.0, MATH 38.4 -> 58.1 (RLHFlow's "
    "model card), PRMBench 54.2"
)
SKYWORK = "the PRM: PRMBench 65.1 (Song et al. 2025, arXiv 2501.03124)"


def _paper_math(policy: str, size: float, figures: str, *options: str) -> SetUp:
    return SetUp(policy, "", (size, 7), MATHS, PAPER.format(0.1), figures, MATH, options)


def _paper_code(size: int) -> SetUp:
    policy = f"codellama/CodeLlama-{size}b-Python-hf"
    return SetUp(policy, "", (size, 7), (("humaneval", 164),), PAPER.format(0.2), HUMANEVAL, CODE)


def _today(policy: str, reward: str, billions: tuple[float, float], figures: str) -> SetUp:
    tasks = (("math500", 500),)
    return SetUp(policy, reward, billions, tasks, TODAY, figures, options=("--chat",))


SETUPS = {
    "llama2-7b": _paper_math("meta-llama/Llama-2-7b-hf", 7, GAIN.lstrip("; ")),
    "llama2-13b": _paper_math("meta-llama/Llama-2-13b-hf", 13, GAIN.lstrip("; ")),
    "wizardmath-7b": _paper_math(
        "WizardLMTeam/WizardMath-7B-V1.0", 7, WIZARD.format(54.9, 10.7), "--shots", "0"
    ),
    "wizardmath-13b": _paper_math(
        "WizardLMTeam/WizardMath-13B-V1.0", 13, WIZARD.format(63.9, 14.0) + GAIN, "--shots", "0"
    ),
    "codellama-7b": _paper_code(7),
    "codellama-13b": _paper_code(13),
    "qwen2.5-math-1.5b": _today(
        "Qwen/Qwen2.5-Math-1.5B-Instruct", "vllm:qwen-prm:Qwen/Qwen2.5-Math-PRM-7B", (1.5, 7),
        QWEN_PRM.lstrip("; "),
    ),
    "qwen2.5-math-7b": _today(
        "Qwen/Qwen2.5-Math-7B-Instruct", "vllm:qwen-prm:Qwen/Qwen2.5-Math-PRM-7B", (7, 7),
        "GSM8K 95.2, MATH 83.6, greedy (its makers)" + QWEN_PRM,
    ),
    "llama3.2-1b-rlhflow": _today(
        "meta-llama/Llama-3.2-1B-Instruct", "rlhflow:RLHFlow/Llama3.1-8B-PRM-Deepseek-Data",
        (1, 8), f"{LLAMA}; {RLHFLOW}",
    ),
    "llama3.2-3b-skywork": _today(
        "meta-llama/Llama-3.2-3B-Instruct", "skywork:Skywork/Skywork-o1-Open-PRM-Qwen-2.5-7B",
        (3, 7), f"{LLAMA}; {SKYWORK}",
    ),
}  # fmt: skip


def search_hours(setup: SetUp, problems: int | None = None, budget: int = BUDGET) -> float:
    """Return the estimated hours of one GPU for all searches of a set-up.

    Args:
      problems: of each task, if fewer.
      budget: policy tokens of one search.
    """
    strategies = setup.strategies.count(",")
    most = sum(min(count, problems or count) for _, count in setup.tasks)
    tokens = most * (SOLUTION_TOKENS + budget * strategies)
    policy, reward = (2e9 * billions * tokens for billions in setup.billions)
    return (policy / (PEAK * POLICY_SHARE) + reward / (PEAK * REWARD_SHARE)) / 3600


def commands(setup: SetUp, arguments: argparse.Namespace, further: list[str]) -> list[list[str]]:
    """Return what a set-up runs, in order."""
    out, found = arguments.out, []
    reward = arguments.reward or setup.reward or f"{out}/train/prm"
    if setup.train is not None and not arguments.reward:
        train = shlex.split(os.environ.get("TRAIN", ""))
        found.append(["bash", str(HERE / setup.train[0]), f"{out}/train", *train])
    both = ["--policy", arguments.policy or f"vllm:{setup.policy}", "--reward", reward]
    if not arguments.policy:
        share = "0.5" if reward.startswith("vllm:") else "0.4"
        both += ["--vllm", f"--gpu-memory-utilization {share}", "--device", "cuda"]
        both += ["--dtype", "bfloat16"]
    if reward.startswith("vllm:"):
        both += ["--reward-vllm", "--gpu-memory-utilization 0.35"]
    for task, count in setup.tasks:
        count = min(count, arguments.problems or count)
        limits = ["--problems", str(count), "--max-policy-tokens", str(arguments.budget)]
        data = ["--data", f"{arguments.data}/{task}.jsonl"] if arguments.data else []
        found.append([
            sys.executable, "-m", "stepnav", "bench", "--task", task, "--out", f"{out}/{task}",
            "--resume", "--strategies", setup.strategies, *limits, *data, *both, *setup.options,
            *further,
        ])  # fmt: skip
    return found


def told(name: str, arguments: argparse.Namespace) -> str:
    """Return a set-up's hardware, time, money and published figures in a few lines."""
    setup = SETUPS[name]
    train = 0.0 if setup.train is None else setup.train[1]
    hours, dollars = search_hours(setup, arguments.problems, arguments.budget), arguments.dollars
    gpu = "1 GPU of 80 GB" + (f" (training: see {setup.train[0]})" if setup.train else "")
    return (
        f"{name}: {setup.policy} with {setup.reward or 'a reward model of its own'}\n"
        f"  {gpu}; estimate, not measured: {hours:.1f} GPU hours of search, {train:.0f} of "
        f"training, {(hours + train) * dollars:.0f} dollars at {dollars:g} an hour\n"
        f"  published: {setup.figures}"
    )


def main(words: list[str] | None = None) -> int:
    """Run a set-up, or list all; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    parser.add_argument("name", nargs="?", choices=sorted(SETUPS))
    parser.add_argument("out", nargs="?")
    parser.add_argument("--list", action="store_true", help="tell all set-ups and run nothing")
    parser.add_argument("--show", action="store_true", help="print the commands and run nothing")
    parser.add_argument("--policy", help="in the place of vllm:NAME, as `stepnav bench` takes it")
    parser.add_argument(
        "--reward", help="in the place of the set-up's own; nothing is trained then"
    )
    parser.add_argument("--data", help="folder with TASK.jsonl of each task; default: the hub")
    parser.add_argument("--problems", type=int, help="of each task; default: all")
    parser.add_argument("--budget", type=int, default=BUDGET, help="policy tokens of one search")
    parser.add_argument("--dollars", type=float, default=2.5, help="of one GPU hour")
    arguments, further = parser.parse_known_args(words)
    if arguments.list or arguments.name is None:
        names = SETUPS if arguments.name is None else [arguments.name]
        print("\n".join(told(name, arguments) for name in names))
        return 0
    if arguments.out is None:
        parser.error("name the folder for the results behind the set-up")
    print(told(arguments.name, arguments), flush=True)
    for command in commands(SETUPS[arguments.name], arguments, further):
        print(shlex.join(command), flush=True)
        if not arguments.show and (code := subprocess.run(command, check=False).returncode):
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
