"""Verdicts on many variants of one trusted reference: many per fork, for mutation testing.

For programs that you made, not for programs that a model wrote: variants share a process, with
those of earlier batches too, and a hostile one could speak for the next. The verdict of each is
what `judge_problem` would give; whatever is unusual in a batch (crash, time, memory, state left
behind, a test that diverges) is judged by it, and what comes after it runs in a fresh fork.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from stepnav.core.errors import DataError
from stepnav.sandbox.codec import encode
from stepnav.sandbox.inside.batch_box import FOUND, MAY_SERVE_ON, digest
from stepnav.sandbox.inside.box import split
from stepnav.sandbox.judge import Prepared, early_verdict, judge_problem, prepare
from stepnav.sandbox.pool import Sandbox
from stepnav.sandbox.records import Suite, Verdict

CHUNK = 256
"""Variants per fork."""

SOFT_CPU_FACTOR = 10.0
SOFT_CPU_AT_LEAST_S = 0.005
"""A variant in a batch has this many times the reference's CPU seconds, then a fork of its own."""

HARD_CPU_S = 0.2
"""CPU seconds of silence, on top of the soft limit, after which a batch's fork is killed."""


class Found(NamedTuple):
    """What a batch found out about one variant.

    Attributes:
      answers: its answers, joined, the one to loading first; None if it was unusual.
      is_late: whether its time was over, so that these are only the first.
      cpu_s: CPU seconds that it took.
    """

    answers: bytes | None
    is_late: bool
    cpu_s: float

    @property
    def ends_batch(self) -> bool:
        """Whether the fork that ran it runs no variant after it."""
        return self.answers is None or self.is_late

    @property
    def is_partial(self) -> bool:
        """Whether it may have been asked less than all, for an answer unlike the reference's."""
        return self.answers is not None and not self.is_late


UNKNOWN = Found(None, False, 0.0)


def judge_batch(
    sandbox: Sandbox,
    problem: Suite,
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
    soft_s = _measure_reference(sandbox, prepared, limit)
    found = _all_answers(sandbox, prepared, sources, prepared.digests, soft_s)
    verdicts = [_verdict(sandbox, prepared, item) for item in found]
    left = [i for i, item in enumerate(found) if verdicts[i] is None and item.is_partial]
    if left and prepared.digests:
        whole = _all_answers(sandbox, prepared, [sources[i] for i in left], [], soft_s)
        for index, item in zip(left, whole):
            verdicts[index] = _verdict(sandbox, prepared, item)
    return [
        verdict or judge_problem(sandbox, problem, source, cpu_s=cpu_s)
        for verdict, source in zip(verdicts, sources)
    ]


def _verdict(sandbox: Sandbox, prepared: Prepared, found: Found) -> Verdict | None:
    """Return the verdict if the batch settles it."""
    if found.answers is None:
        return None
    verdict = early_verdict(sandbox, prepared, found.answers)
    return None if verdict is None else replace(verdict, cpu_s=found.cpu_s)


def _all_answers(
    sandbox: Sandbox,
    prepared: Prepared,
    sources: Sequence[str],
    digests: list[bytes],
    soft_s: float,
) -> list[Found]:
    """Return what a batch finds out about each variant."""
    found: dict[int, Found] = {}
    left = list(range(len(sources)))
    is_patient = True
    while left:
        chunk = left[:CHUNK]
        part = _ask(sandbox, prepared, [sources[i] for i in chunk], digests, soft_s, is_patient)
        found.update((chunk[i], item) for i, item in part.items() if i < len(chunk))
        missing = [i for i in chunk if i not in found]
        crashed = missing and not (part and part[max(part)].ends_batch)
        if crashed and not is_patient:
            found[missing[0]] = UNKNOWN  # it took the fork down with it
        is_patient = not crashed or not is_patient
        left = [i for i in left if i not in found]
    return [found[i] for i in range(len(sources))]


def _measure_reference(sandbox: Sandbox, prepared: Prepared, limit: float) -> float:
    """Ask the reference once, in a batch; return a variant's CPU seconds, a multiple of its."""
    if prepared.own_cpu_s is None:
        reference = prepared.test.problem.reference or ""
        found = _ask(sandbox, prepared, [reference], [], limit, False).get(0, UNKNOWN)
        if found.answers is None or found.is_late:
            prepared.own_cpu_s = prepared.cpu_s or limit
        else:
            prepared.own_cpu_s = found.cpu_s
            prepared.digests = [digest(answer) for answer in split(found.answers)[1:]]
    return min(limit, max(SOFT_CPU_AT_LEAST_S, SOFT_CPU_FACTOR * prepared.own_cpu_s))


def _ask(
    sandbox: Sandbox,
    prepared: Prepared,
    sources: list[str],
    digests: list[bytes],
    soft_s: float,
    is_patient: bool,
) -> dict[int, Found]:
    """Return what one fork answered, by position; variants after a crash are missing."""
    limits = sandbox.limits
    message = encode(
        (
            "batch",
            sources,
            prepared.calls,
            digests,
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
        num_answers=len(sources),
        is_batch=True,
    )
    found: dict[int, Found] = {}
    for frame in frames:
        if frame == MAY_SERVE_ON or len(frame) < FOUND.size:
            break
        index, is_usual, is_late, cpu_s = FOUND.unpack_from(frame)
        found[index] = Found(frame[FOUND.size :] if is_usual else None, is_late, cpu_s)
    return found
