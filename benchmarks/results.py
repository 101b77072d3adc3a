"""Makes the runs behind docs/results.md, each resumable, and tells what they cost first.

    python benchmarks/results.py runs/results              # make results
    python benchmarks/results.py runs/results --all        # more budgets and seeds
    python benchmarks/results.py runs/results --rivals     # the field's searches, one budget
    python benchmarks/results.py runs/results --voting     # votes of 1 to 256 samples
    python benchmarks/results.py runs/results --tune 250,1000    # the options of the next
    python benchmarks/results.py runs/results --tuned      # all strategies at tuned options
    python benchmarks/results.py runs/results --near       # the nearest of them, three seeds
    python benchmarks/results.py runs/results --large      # the nearest at 4,000 tokens

What they cost is measured: each run is tried on a few problems of the dev split, in a folder of its
own. As many runs go side by side as there are cores, one thread each.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from stepnav.build.grid import PUBLISHED

ROOT = Path(__file__).resolve().parents[1]
TUNED = ROOT / "docs" / "results" / "tuned"
PAPER = {
    "arithmetic": "hgs:published:temperature=0.1",
    "micro-python": "hgs:published:temperature=0.2",
}
"""HGS as published, at the paper's temperature for mathematics and for code."""
WARM = "hgs:published:temperature=1.0"


TUNED_BUDGETS = "250,1000"


@dataclass(frozen=True)
class Run:
    """One run folder: its title in the document, and the words after `stepnav bench`.

    Runs with a recipe are made by it, as they need models and data.
    """

    title: str
    words: tuple[str, ...]
    problems: int
    seeds: int = 1
    recipe: str | None = None


USUAL = "cot,self_consistency,best_of_n,weighted_vote,beam,rebase,hgs,nav"
"""What the field compares with; `RIVAL_RUNS` have the others."""


def compared(
    task: str, budgets: str, *, title: str, strategies: str = "all", is_all: bool = False
) -> Run:
    """Return strategies at their defaults, and some as published."""
    others = [f"{name}:published" for name in PUBLISHED if name != "hgs"] if is_all else []
    published = [WARM, PAPER[task], *others]
    words = ["--task", task, "--budgets", budgets]
    words += ["--strategies", ",".join([strategies, *published]), "--baseline", "nav", "--coverage"]
    return Run(title, (*words, "--split", "test"), 500, 3 if is_all else 1)


def tuned(task: str, budgets: str, title: str) -> Run:
    """Return all strategies at the options that `--tune` found."""
    run = compared(task, budgets, title=title)
    return replace(run, words=(*run.words, "--tuned", str(TUNED / f"{task}.json")))


def near(task: str, title: str) -> Run:
    """Return nav and what came nearest to it among all at tuned options, from three seeds."""
    words = ("--task", task, "--budgets", TUNED_BUDGETS, "--strategies", f"nav,hgs,rap,{WARM}")
    words += ("--baseline", "nav", "--split", "test", "--tuned", str(TUNED / f"{task}.json"))
    return Run(title, words, 500, 3)


def large(task: str, rap: str, title: str) -> Run:
    """Return nav and the nearest to it at four times the tokens that they were tuned for."""
    words = ("--task", task, "--budgets", "4000", "--strategies", f"nav,hgs:branching=16,{rap}")
    return Run(title, (*words, "--baseline", "nav", "--split", "test"), 300)


def voting(task: str, title: str) -> Run:
    words = ("--task", task, "--strategies", "weighted_vote:samples=256,hgs,nav,cot")
    return Run(title, (*words, "--coverage", "--split", "test"), 200)


def rivals(task: str, title: str) -> Run:
    """Return the searches that `bench` does not run by default beside nav, at their defaults."""
    names = "nav,tot,rap,astar,ab_mcts,dvts,particle,vgb,pool"
    words = ("--task", task, "--budgets", "1000", "--strategies", names, "--baseline", "nav")
    return Run(title, (*words, "--coverage", "--split", "test"), 150)


def eighth(task: str, title: str) -> Run:
    """Return nav at an eighth of the tokens of best-of-N."""
    words = ("--task", task, "--budgets", "250,2000", "--strategies", "nav,best_of_n")
    return Run(title, (*words, "--baseline", "nav@250", "--split", "test"), 500)


def ablation(title: str, strategies: str, problems: int) -> Run:
    words = ("--split", "dev", "--seed", "1", "--strategies", f"cot,{strategies}")
    return Run(title, words, problems)


def samples(task: str, title: str) -> Run:
    """Return what samples at several temperatures hold, beside nav."""
    words = ("--task", task, "--split", "dev", "--seed", "1", "--budgets", "1000", "--strategies")
    colder = ",".join(f"best_of_n:temperature={t}" for t in ("0.7", "0.5", "0.3"))
    return Run(title, (*words, f"best_of_n,{colder},nav", "--baseline", "nav", "--coverage"), 150)


RUNGS = "20,80"
"""Problems on which options are tried: half of what `stepnav tune` takes, as all are tuned."""
FEW, MANY = "250,1000,4000", "125,250,500,1000,2000,4000"
PLAIN_RUNS: Mapping[str, Run] = {
    "arithmetic": compared(
        "arithmetic", FEW, strategies=USUAL, title="Arithmetic, equal policy tokens"
    ),
    "micro-python": compared(
        "micro-python", FEW, strategies=USUAL, title="Code, equal policy tokens"
    ),
    "path": ablation(
        "Stopping at the step against generating the whole path", "hgs,hgs:proposal=path", 100
    ),
    "temperature": ablation(
        "HGS by temperature",
        "hgs:temperature=0.1,hgs:temperature=0.3,hgs,hgs:temperature=1.0,"
        f"{WARM}," + PAPER["arithmetic"],
        150,
    ),
    "samples-arithmetic": samples("arithmetic", "Arithmetic, samples by temperature"),
    "samples-micro-python": samples("micro-python", "Code, samples by temperature"),
    "iterations": ablation("HGS by number of draws", "hgs:max_draws=30,hgs:max_draws=50,hgs", 150),
}
ALL_RUNS: Mapping[str, Run] = {
    "arithmetic-all": compared(
        "arithmetic", MANY, is_all=True, title="Arithmetic, six budgets, three seeds"
    ),
    "micro-python-all": compared(
        "micro-python", MANY, is_all=True, title="Code, six budgets, three seeds"
    ),
}
TUNED_RUNS: Mapping[str, Run] = {
    "tuned-arithmetic": tuned("arithmetic", TUNED_BUDGETS, "Arithmetic, all at tuned options"),
    "tuned-micro-python": tuned("micro-python", TUNED_BUDGETS, "Code, all at tuned options"),
}
NEAR_RUNS: Mapping[str, Run] = {
    "near-arithmetic": near("arithmetic", "Arithmetic, the nearest at tuned options, three seeds"),
    "near-micro-python": near("micro-python", "Code, the nearest at tuned options, three seeds"),
}
LARGE_RUNS: Mapping[str, Run] = {
    "large-arithmetic": large("arithmetic", "rap", "Arithmetic, the nearest at 4,000 tokens"),
    "large-micro-python": large(
        "micro-python", "rap:branching=8", "Code, the nearest at 4,000 tokens"
    ),
}
VOTING_RUNS: Mapping[str, Run] = {
    "voting-arithmetic": voting("arithmetic", "Arithmetic, voting of 1 to 256 samples"),
    "voting-micro-python": voting("micro-python", "Code, voting of 1 to 256 samples"),
}
RIVAL_RUNS: Mapping[str, Run] = {
    "rivals-arithmetic": rivals("arithmetic", "Arithmetic, the field's other searches"),
    "rivals-micro-python": rivals("micro-python", "Code, the field's other searches"),
    "eighth-arithmetic": eighth("arithmetic", "Arithmetic, nav against eight times the tokens"),
    "eighth-micro-python": eighth("micro-python", "Code, nav against eight times the tokens"),
    "right-arithmetic": Run(
        "How often nav's P(right) comes true on arithmetic, with the map that is shipped",
        (
            *("--task", "arithmetic", "--budgets", "250,1000", "--strategies", "nav"),
            *("--baseline", "nav", "--split", "test"),
        ),
        500,
    ),
}
SMALL = "DRAWN=320 DEV=60"
"""Problems that the reward model of GSM8K's and SVAMP's runs learnt from, see the recipe."""
REAL_RUNS: Mapping[str, Run] = {
    "humaneval": Run(
        "HumanEval with a real model",
        (),
        164,
        recipe="recipes/humaneval.sh OUT MODEL HumanEval.jsonl.gz",
    ),
    "svamp": Run(
        "SVAMP with a real model and a reward model of its own",
        (),
        300,
        recipe=f"{SMALL} STRATEGIES=cot,weighted_vote,hgs,nav recipes/gsm8k_cpu.sh OUT",
    ),
    "svamp-slope": Run(
        "SVAMP, nav without the reward model's verdicts",
        (),
        300,
        recipe=f"{SMALL} STRATEGIES=nav:slope=0 recipes/gsm8k_cpu.sh OUT",
    ),
    "gsm8k": Run(
        "GSM8K with a real model and a reward model of its own",
        (),
        200,
        recipe=f"{SMALL} PROBLEMS=200 BUDGETS=256 STRATEGIES=cot,nav recipes/gsm8k_cpu.sh OUT",
    ),
}
"""Runs that `publish.py` shows beside the others."""
KINDS = {
    "results": PLAIN_RUNS, "rivals": RIVAL_RUNS, "tuned": TUNED_RUNS, "near": NEAR_RUNS,
    "large": LARGE_RUNS, "all": ALL_RUNS, "voting": VOTING_RUNS,
}  # fmt: skip
RUNS = {name: run for runs in KINDS.values() for name, run in runs.items()}


def with_budgets(run: Run, budgets: str) -> Run:
    """Return a run at other budgets, if it has any."""
    words = list(run.words)
    if "--budgets" in words:
        words[words.index("--budgets") + 1] = budgets
    return replace(run, words=tuple(words))


def command_words(run: Run) -> list[str]:
    """Return the words after `stepnav bench` that say what a run is."""
    seeds = ["--seeds", str(run.seeds)] if run.seeds > 1 else []
    words = [word.replace(f"{ROOT}/", "") for word in run.words]
    return [*words, "--problems", str(run.problems), *seeds]


def command(run: Run, out: Path, *, trial: int | None = None) -> list[str]:
    """Return a run's command, or that of its trial on so many dev problems."""
    words = list(run.words)
    if trial is not None:
        words = ["dev" if word == "test" else word for word in words]
        run = replace(run, problems=trial, seeds=1)
    words = command_words(replace(run, words=tuple(words)))
    return [sys.executable, "-m", "stepnav", "bench", *words, "--out", str(out), "--resume"]


def side_by_side(commands: Sequence[Sequence[str]], *, is_quiet: bool = False) -> None:
    """Run commands, one for each core at a time.

    Raises:
      SystemExit: one of them failed.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    variables = {**os.environ, "OMP_NUM_THREADS": "1"}

    def one(words: Sequence[str]) -> int:
        target = subprocess.DEVNULL if is_quiet else None
        return subprocess.run(words, env=variables, stdout=target, cwd=ROOT).returncode

    with ThreadPoolExecutor(cores or 1) as pool:
        codes = list(pool.map(one, commands))
    if any(codes):
        raise SystemExit("a run has ended early; the same command goes on with it")


def tell_cost(runs: Mapping[str, Run], folder: Path, trial: int) -> None:
    """Try each run on a few problems and print what the whole will take."""
    places = {name: folder / "trial" / name for name in runs}
    tries = [command(run, places[name], trial=trial) for name, run in runs.items()]
    side_by_side(tries, is_quiet=True)
    total = 0.0
    for name, run in runs.items():
        report = json.loads((places[name] / "report.json").read_text())
        times = run.problems * run.seeds / report["problems"]
        sums = [
            times * sum((row[key] or 0) * row["searches"] for row in report["rows"])
            for key in ("policy_tokens_per_problem", "reward_tokens_per_problem")
        ]
        seconds = times * sum(row["wall_s"] or 0 for row in report["rows"])
        searches = run.problems * run.seeds * len(report["rows"])
        print(
            f"{name}: {searches:,} searches, {sums[0]:,.0f} policy and {sums[1]:,.0f} reward "
            f"tokens, {seconds / 3600:.1f} hours of one core"
        )
        total += seconds
    print(
        f"all: {total / 3600:.1f} hours of one core, at the speed of {trial} problems at once; "
        "many at once go faster",
        flush=True,
    )


def tune(folder: Path, budgets: str) -> None:
    """Find the options of all strategies for both tasks, and put them where runs look."""
    places = {task: folder / f"tune-{task}" for task in PAPER}
    side_by_side(
        [
            [sys.executable, "-m", "stepnav", "tune", "--task", task, "--budgets", budgets,
             "--rungs", RUNGS, "--out", str(out), "--resume"]
            for task, out in places.items()
        ]
    )  # fmt: skip
    TUNED.mkdir(parents=True, exist_ok=True)
    for task, out in places.items():
        shutil.copy(out / "tuned.json", TUNED / f"{task}.json")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--tune", metavar="BUDGETS")
    for name in KINDS:
        group.add_argument(f"--{name}", action="store_const", const=name, dest="kind")
    parser.set_defaults(kind="results")
    parser.add_argument("--trial", type=int, default=5, help="problems of the trial; 0 for none")
    parser.add_argument("--budgets", help="instead of those that the runs have")
    parser.add_argument("--cost", action="store_true", help="tell the cost and end")
    args = parser.parse_args()
    folder = args.runs.resolve()
    if args.tune:
        tune(folder, args.tune)
        return
    runs = dict(KINDS[args.kind])
    if args.budgets:
        runs = {name: with_budgets(run, args.budgets) for name, run in runs.items()}
    if args.trial:
        tell_cost(runs, folder, args.trial)
    if not args.cost:
        side_by_side([command(run, folder / name) for name, run in runs.items()])
        here = Path(__file__).parent
        for name in runs.keys() & VOTING_RUNS.keys():
            subprocess.run([sys.executable, here / "voting.py", folder / name], check=True)
        subprocess.run([sys.executable, here / "publish.py", folder], check=True)


if __name__ == "__main__":
    main()
