"""Mutation data from MBPP: made whole, killed and resumed, judged twice, and beside other ways.

    python benchmarks/mutation.py full    --data MBPP --out DIR [--page docs/mutation-data.md]
    python benchmarks/mutation.py resume  --data MBPP [--kills 20] [--ids 511-974]
    python benchmarks/mutation.py flaky   --data MBPP [--count 5000]
    python benchmarks/mutation.py batch   --data MBPP [--count 1000]
    python benchmarks/mutation.py rate    --data MBPP [--count 300]
    python benchmarks/mutation.py mutmut  --data MBPP --mutmut PATH [--ids 602-613]

Each prints one JSON object (`--json FILE` also writes it) and ends with 1 if its bar is missed.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from stepnav.cli.data.origin import load_references
from stepnav.mutate.journal import read_journal
from stepnav.mutate.laboratory import SandboxLaboratory, cpu_limit_s
from stepnav.mutate.operators.table import mutants
from stepnav.mutate.program.edit import apply_edits
from stepnav.mutate.program.source import parse
from stepnav.mutate.program.steps import split_steps
from stepnav.mutate.reference import Reference
from stepnav.sandbox.judge import judge_problem
from stepnav.sandbox.pool import Sandbox
from stepnav.sandbox.records import MEBIBYTE, Limits, Suite

RUN = "from stepnav.cli.main import main; main()"
PICK_SEED = 0


def command(args: argparse.Namespace, out: Path, *options: object) -> list[str]:
    """Return the command that a user would type."""
    words = ["--task", "mbpp", "--data", args.data, "--out", out, "--workers", args.workers]
    words += ["--ids", args.ids] if args.ids else []
    return [sys.executable, "-c", RUN, "data", "mutate", *map(str, [*words, *options]), "--json"]


def full(args: argparse.Namespace) -> dict[str, Any]:
    """The whole data set, and the page about it; an existing OUT.json is not made again."""
    result_path = args.out.with_suffix(".json")
    if not result_path.exists() or not result_path.read_text().strip():
        made = subprocess.run(
            command(args, args.out, "--decoys", 4, "--second-order", 4),
            check=True,
            stdout=subprocess.PIPE,
        )
        result_path.write_bytes(made.stdout)
    result = json.loads(result_path.read_text())
    rate = result["judged"] / result["seconds"]
    if args.page is not None:
        card = (args.out / "README.md").read_text()
        note = (
            f"\n## Made in\n\n{result['seconds']:.0f} s with {args.workers} processes on "
            f"{args.machine}: {rate:.0f} programs judged per second, {result['judged']} in all. "
            "Made again by\n\n"
            "    python benchmarks/mutation.py full --data mbpp.jsonl.gz --out mutants "
            "--page docs/mutation-data.md\n"
        )
        args.page.write_text(card + note)
    return {**result, "programs_per_s": round(rate, 1), "is_met": not result["unused"] or None}


def resume(args: argparse.Namespace) -> dict[str, Any]:
    """An undisturbed run and one that is killed (-9) at random moments: the same bytes?"""
    options = ("--decoys", 4, "--second-order", 4, "--repairs", args.repairs)
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = args.whole or Path(folder) / "whole", Path(folder) / "killed"
        kills = kill_until_done(args, killed, options)
        if not (whole / "README.md").exists():
            subprocess.run(command(args, whole, *options), check=True, stdout=subprocess.DEVNULL)
        names = sorted(p.name for p in whole.iterdir() if not p.name.startswith("shard"))
        different = [n for n in names if (whole / n).read_bytes() != (killed / n).read_bytes()]
        outcomes = read_journal(next(whole.glob("shard-*")))[1]
    programs = sum(len(o.findings) + sum((o.dropped or {}).values()) for o in outcomes)
    return {
        "programs": programs,
        "judged": sum(outcome.num_judged for outcome in outcomes),
        "kills": kills,
        "files": names,
        "different_files": different,
        "is_met": not different and kills >= args.kills,
    }


def kill_until_done(args: argparse.Namespace, out: Path, options: tuple[object, ...]) -> int:
    """Return how often the run was killed before it was let to its end."""
    draw = random.Random(args.seed)
    kills = 0
    while kills < args.kills:
        process = subprocess.Popen(
            command(args, out, *options), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            process.wait(draw.uniform(args.span_s / 4, args.span_s))
            break
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
    subprocess.run(
        command(args, out, *options),
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return kills


def pick(args: argparse.Namespace) -> dict[str, tuple[Reference, list[str]]]:
    """Return a sample of mutants: task id -> reference and mutated texts."""
    origin = load_references("mbpp", data=args.data, ids=args.ids, programs=(), tests=())
    every = []
    for reference in origin.references:
        source = parse(reference.source)
        for mutant in mutants(source, split_steps(source)):
            every.append((reference, apply_edits(source.text, [mutant.edit])))
    chosen = random.Random(PICK_SEED).sample(every, min(args.count, len(every)))
    found: dict[str, tuple[Reference, list[str]]] = {}
    for reference, text in chosen:
        found.setdefault(reference.task_id, (reference, []))[1].append(text)
    return found


def judge_all(
    picked: dict[str, tuple[Reference, list[str]]], *, order_seed: int, alone: bool = False
) -> tuple[dict[tuple[str, str], str], float]:
    """Return the status of each mutant and the seconds for all."""
    draw = random.Random(order_seed)
    names = sorted(picked)
    draw.shuffle(names)
    statuses: dict[tuple[str, str], str] = {}
    limits = Limits(output_bytes=16 * MEBIBYTE, wall_s=300)
    with Sandbox("process", limits=limits) as sandbox:
        sandbox.start()
        began = time.perf_counter()
        for name in names:
            reference, texts = picked[name]
            texts = draw.sample(texts, len(texts))
            laboratory = SandboxLaboratory(sandbox, reference)
            limit = cpu_limit_s(laboratory.try_reference())
            if alone:
                problem = Suite(
                    reference.test,
                    reference.entry_point,
                    reference.style,
                    reference.source,
                    reference.setup,
                )
                found = [judge_problem(sandbox, problem, text, cpu_s=limit) for text in texts]
            else:
                found = laboratory.test(texts, limit)
            statuses.update(((name, t), v.status) for t, v in zip(texts, found))
        return statuses, time.perf_counter() - began


def flaky(args: argparse.Namespace) -> dict[str, Any]:
    """The same mutants twice, in different order."""
    picked = pick(args)
    first, first_s = judge_all(picked, order_seed=1)
    second, second_s = judge_all(picked, order_seed=2)
    different = [(*key, first[key], second[key]) for key in first if first[key] != second[key]]
    return {
        "mutants": len(first),
        "different": different,
        "statuses": dict(Counter(first.values())),
        "mutants_per_s": round((len(first) + len(second)) / (first_s + second_s), 1),
        "is_met": not different,
    }


def batch(args: argparse.Namespace) -> dict[str, Any]:
    """Verdicts of batches against one fork per mutant."""
    picked = pick(args)
    together, batch_s = judge_all(picked, order_seed=1)
    alone, alone_s = judge_all(picked, order_seed=2, alone=True)
    different = [
        (*key, together[key], alone[key]) for key in together if together[key] != alone[key]
    ]
    return {
        "mutants": len(together),
        "different": different,
        "batch_per_s": round(len(together) / batch_s, 1),
        "alone_per_s": round(len(alone) / alone_s, 1),
        "is_met": not different,
    }


def rate(args: argparse.Namespace) -> dict[str, Any]:
    """Mutants judged per second, against a new `python -I -S` for each."""
    picked = pick(args)
    statuses, ours_s = judge_all(picked, order_seed=1)
    began = time.perf_counter()
    count = 0
    for reference, texts in picked.values():
        for text in texts[: max(1, args.count // len(picked))]:
            program = f"{text}\n{reference.setup}\n{reference.test}\n"
            words = [sys.executable, "-I", "-S", "-c", program]
            with suppress(subprocess.TimeoutExpired):
                subprocess.run(words, stderr=subprocess.DEVNULL, timeout=2.0, check=False)
            count += 1
    fresh = count / (time.perf_counter() - began)
    ours = len(statuses) / ours_s
    return {
        "ours_per_s": round(ours, 1),
        "fresh_python_per_s": round(fresh, 1),
        "times": round(ours / fresh, 1),
        "is_met": ours / fresh >= 50,
    }


def mutmut(args: argparse.Namespace) -> dict[str, Any]:
    """Our mutants against mutmut's on the same programs, all of them as one project.

    Starts, generation, runs and timeouts are in all times. "same_work" generates mutants and runs
    the tests once on each, as mutmut does; "command" is `stepnav data mutate`, which runs them
    twice, at ten times the limit where they time out, and on further inputs where they pass. Wall
    time depends on what else the machine does, CPU time hardly.
    """
    origin = load_references("mbpp", data=args.data, ids=args.ids, programs=(), tests=())
    args.count = sys.maxsize
    with tempfile.TemporaryDirectory() as folder:
        words = command(args, Path(folder) / "ours", "--repairs", args.repairs)
        measured = {
            "mutmut": measure(lambda: run_mutmut(args, Path(folder) / "m", origin.references)),
            "same_work": measure(lambda: len(judge_all(pick(args), order_seed=1)[0])),
            "command": measure(lambda: run_ours(words, Path(folder) / "ours")),
        }
    result: dict[str, Any] = {"programs": len(origin.references), **measured}
    for name in ("same_work", "command"):
        for clock in ("wall", "cpu"):
            rates = [measured[k]["mutants"] / measured[k][f"{clock}_s"] for k in (name, "mutmut")]
            result[f"{name}_times_{clock}"] = round(rates[0] / rates[1], 1)
    return {**result, "is_met": result["same_work_times_cpu"] >= 100}


def measure(work: Callable[[], int]) -> dict[str, float]:
    """Return how many mutants a piece of work judged, its wall time and its CPU time."""
    began, used = time.perf_counter(), cpu_s()
    count = work()
    wall = time.perf_counter() - began
    return {"mutants": count, "wall_s": round(wall, 2), "cpu_s": round(cpu_s() - used, 2)}


def cpu_s() -> float:
    """Return CPU seconds of this process and of all its ended children."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, kinds))


def run_ours(words: list[str], out: Path) -> int:
    """Return how many mutants our command judged."""
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    outcomes = read_journal(next(out.glob("shard-*")))[1]
    return sum(len(o.findings) - 1 + sum((o.dropped or {}).values()) for o in outcomes)


def run_mutmut(args: argparse.Namespace, folder: Path, references: list[Reference]) -> int:
    """Return how many mutants mutmut made and judged."""
    for name in ("programs", "tests"):
        (folder / name).mkdir(parents=True)
    (folder / "programs" / "__init__.py").write_text("")
    for reference in references:
        name = reference.task_id.replace("-", "_")
        (folder / "programs" / f"{name}.py").write_text(reference.source)
        lines = f"{reference.setup}\n{reference.test}".splitlines()
        body = "\n".join(f"    {line}" for line in lines)
        test = f"from programs.{name} import *\n\n\ndef test_it():\n{body}\n"
        (folder / "tests" / f"test_{name}.py").write_text(test)
    (folder / "setup.cfg").write_text("[mutmut]\nsource_paths=programs\n")
    words = [str(args.mutmut), "run", "--max-children", str(args.workers)]
    subprocess.run(
        words, cwd=folder, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    found = [json.loads(path.read_text()) for path in folder.glob("mutants/programs/*.meta")]
    codes = [code for meta in found for code in meta["exit_code_by_key"].values()]
    return sum(code is not None for code in codes)


COMMANDS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "full": full,
    "resume": resume,
    "flaky": flaky,
    "batch": batch,
    "rate": rate,
    "mutmut": mutmut,
}
COUNTS = {"flaky": 5000, "batch": 1000, "rate": 300}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=COMMANDS)
    parser.add_argument("--data", type=Path, required=True, help="MBPP's official file")
    parser.add_argument("--ids", help="only these task ids")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--count", type=int, help="mutants to judge")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--repairs", type=int, default=0)
    parser.add_argument("--span-s", type=float, default=30.0, help="longest run before a kill")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="full: folder of the data set")
    parser.add_argument(
        "--whole", type=Path, help="resume: folder of an undisturbed run, if there is one"
    )
    parser.add_argument("--page", type=Path, help="full: the page to write")
    parser.add_argument("--machine", default="this machine", help="full: what to call it")
    parser.add_argument("--mutmut", type=Path, help="mutmut: its command")
    parser.add_argument("--json", type=Path, help="also write the result here")
    args = parser.parse_args()
    args.count = args.count or COUNTS.get(args.what)
    result = COMMANDS[args.what](args)
    print(json.dumps(result))
    if args.json is not None:
        args.json.write_text(json.dumps(result, indent=2) + "\n")
    sys.exit(result["is_met"] is False)


if __name__ == "__main__":
    main()
