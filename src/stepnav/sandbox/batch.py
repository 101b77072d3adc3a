"""Verdicts on many variants of one trusted reference: many per fork, for mutation testing.

For programs that you made, not for programs that a model wrote: variants share a process, with those of
earlier batches too, and a hostile one could speak for the next. The verdict of each is what `judge_problem` would give;
whatever is unusual in a batch (crash, time, memory, state left behind, a test that diverges) is judged
by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from stepnav.core.errors import DataError
from stepnav.sandbox.batch_box import MAY_SERVE_ON
from stepnav.sandbox.codec import BrokenError, decode, encode
from stepnav.sandbox.judge import Prepared, early_verdict, judge_problem, prepare, verdict_of
from stepnav.sandbox.pool import Sandbox
from stepnav.sandbox.records import Problem, Verdict
from stepnav.sandbox.worker import End

CHUNK = 256
"""Variants per fork."""

SOFT_CPU_FACTOR = 10.0
SOFT_CPU_AT_LEAST_S = 0.005
"""A variant has this many times the reference's CPU seconds in a batch; beyond it, a fork of its own."""

HARD_CPU_S = 0.2
"""CPU seconds of silence, on top of the soft limit, after which a batch's fork is killed."""

_CLEAN_END = End("c", 0, 0.0)


class Found(NamedTuple):
    """What a batch found out about one variant.

    Attributes:
      answers: its answers, the one to loading first; None if it was unusual.
      is_late: whether its time was over, so that these are only the first.
      cpu_s: CPU seconds that it took.
    """

    answers: list[bytes] | None
    is_late: bool
    cpu_s: float


UNKNOWN = Found(None, False, 0.0)


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
    for source, item in zip(sources, answers):
        verdict = _verdict(sandbox, prepared, item)
        if verdict is None:
            verdicts.append(judge_problem(sandbox, problem, source, cpu_s=cpu_s))
        else:
            verdicts.append(Verdict(verdict.status, verdict.detail, verdict.level, item.cpu_s))
    return verdicts


def _verdict(sandbox: Sandbox, prepared: Prepared, found: Found) -> Verdict | None:
    """Return the verdict if the batch settles it."""
    if found.answers is None:
        return None
    if found.is_late:
        return early_verdict(sandbox, prepared, found.answers)
    return verdict_of(sandbox, prepared, found.answers, _CLEAN_END)


def _all_answers(
    sandbox: Sandbox, prepared: Prepared, sources: Sequence[str], limit: float
) -> list[Found]:
    """Return what a batch finds out about each variant."""
    found: dict[int, Found] = {}
    soft_s = _soft_limit(sandbox, prepared, limit)
    left = list(range(len(sources)))
    is_patient = True
    while left:
        chunk = left[:CHUNK]
        part = _ask(sandbox, prepared, [sources[i] for i in chunk], soft_s, is_patient)
        found.update((chunk[i], item) for i, item in part.items() if i < len(chunk))
        missing = [i for i in chunk if i not in found]
        if missing and not is_patient:
            found[missing[0]] = UNKNOWN  # it took the fork down with it
        is_patient = not missing or not is_patient
        left = [i for i in left if i not in found]
    return [found[i] for i in range(len(sources))]


def _soft_limit(sandbox: Sandbox, prepared: Prepared, limit: float) -> float:
    """Return the CPU seconds of a variant in a batch: a multiple of the reference's own."""
    if prepared.own_cpu_s is None:
        reference = prepared.test.problem.reference or ""
        found = _ask(sandbox, prepared, [reference], limit, False).get(0, UNKNOWN)
        is_known = found.answers is not None and not found.is_late
        prepared.own_cpu_s = found.cpu_s if is_known else prepared.cpu_s or limit
    return min(limit, max(SOFT_CPU_AT_LEAST_S, SOFT_CPU_FACTOR * prepared.own_cpu_s))


def _ask(
    sandbox: Sandbox, prepared: Prepared, sources: list[str], soft_s: float, is_patient: bool
) -> dict[int, Found]:
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
        batch_size=len(sources),
    )
    found: dict[int, Found] = {}
    for frame in frames:
        if frame == MAY_SERVE_ON:
            break
        try:
            index, answers, is_late, cpu_s = decode(frame, max_depth=4)
        except (BrokenError, TypeError, ValueError):
            return found
        found[index] = Found(answers, is_late, cpu_s)
    return found
