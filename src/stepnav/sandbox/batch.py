"""Verdicts on many variants of one trusted reference: many per fork, for mutation testing.

For programs that you made, not for programs that a model wrote: variants of one batch share a process,
and a hostile one could speak for the next. The verdict of each is what `judge_problem` would give;
whatever is unusual in a batch (crash, time, memory, state left behind, a test that diverges) is judged
by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from stepnav.core.errors import DataError
from stepnav.sandbox.codec import BrokenError, decode, encode
from stepnav.sandbox.judge import Prepared, judge_problem, prepare, verdict_of
from stepnav.sandbox.pool import Sandbox
from stepnav.sandbox.records import Problem, Verdict
from stepnav.sandbox.worker import End

CHUNK = 256
"""Variants per fork."""

SOFT_CPU_FACTOR = 10.0
SOFT_CPU_AT_LEAST_S = 0.01
"""A variant has this many times the reference's CPU seconds in a batch; beyond it, a fork of its own."""

HARD_CPU_S = 0.2
"""CPU seconds of silence, on top of the soft limit, after which a batch's fork is killed."""

_CLEAN_END = End("c", 0, 0.0)
_Answers = tuple[list[bytes], float]


def judge_batch(
    sandbox: Sandbox,
    problem: Problem,
    sources: Sequence[str],
    *,
    cpu_s: float | None = None,
) -> list[Verdict]:
    """Return one verdict per variant, in order, the same as `judge_problem` gives.

    Args:
      sandbox: where the variants run; one of its warm parents is used.
      problem: the test, with a reference.
      sources: variants of the reference, whole programs.
      cpu_s: CPU seconds for each; None for the sandbox's limit.

    Raises:
      DataError: the problem has no reference or cannot be judged.
      SandboxError: nothing can be run.
    """
    prepared = prepare(sandbox, problem, cpu_s=cpu_s)
    if prepared.calls is None:
        raise DataError("a batch needs a reference: its variants are asked what the reference was")
    limit = sandbox.limits.cpu_s if cpu_s is None else cpu_s
    answers = _all_answers(sandbox, prepared, sources, limit)
    verdicts = []
    for source, found in zip(sources, answers):
        verdict = None if found is None else verdict_of(sandbox, prepared, found[0], _CLEAN_END)
        if found is None or verdict is None:
            verdicts.append(judge_problem(sandbox, problem, source, cpu_s=cpu_s))
        else:
            verdicts.append(replace(verdict, cpu_s=found[1]))
    return verdicts


def _all_answers(
    sandbox: Sandbox, prepared: Prepared, sources: Sequence[str], limit: float
) -> list[_Answers | None]:
    """Return each variant's answers and CPU seconds; None where it was unusual."""
    found: dict[int, _Answers | None] = {}
    soft_s = min(limit, max(SOFT_CPU_AT_LEAST_S, SOFT_CPU_FACTOR * (prepared.cpu_s or 0.0)))
    left = list(range(len(sources)))
    is_patient = True
    while left:
        chunk = left[:CHUNK]
        part = _ask(sandbox, prepared, [sources[i] for i in chunk], soft_s, is_patient)
        found.update((chunk[i], item) for i, item in part.items() if i < len(chunk))
        missing = [i for i in chunk if i not in found]
        if missing and not is_patient:
            found[missing[0]] = None  # it took the fork down with it
        is_patient = not missing or not is_patient
        left = [i for i in left if i not in found]
    return [found[i] for i in range(len(sources))]


def _ask(
    sandbox: Sandbox, prepared: Prepared, sources: list[str], soft_s: float, is_patient: bool
) -> dict[int, _Answers | None]:
    """Return what one fork answered, by position; variants after a crash are missing."""
    limits = sandbox.limits
    message = encode(
        (
            "batch",
            sources,
            prepared.calls,
            soft_s,
            limits.max_depth,
            limits.output_bytes,
            is_patient,
        )
    )
    frames, _ = sandbox.run_message(
        message,
        cpu_s=HARD_CPU_S + 2 * soft_s,
        wall_s=limits.wall_s + len(sources) * (soft_s + HARD_CPU_S),
        output_bytes=limits.output_bytes * len(sources),
        is_renewed=True,
    )
    found: dict[int, _Answers | None] = {}
    for frame in frames:
        try:
            index, answers, cpu_s = decode(frame, max_depth=4)
        except (BrokenError, TypeError, ValueError):
            return found
        found[index] = None if answers is None else (answers, cpu_s)
    return found
