"""Verdicts: the test runs here, in the trusted parent; only the candidate runs in the box.

What the test asks of the reference is recorded once per problem. A candidate gets all those calls in
one message; its answers are then replayed to the test, out here. A test that asks a candidate
something else (because an earlier answer differed) is run again against the live candidate.

A verdict depends on the answers alone, so that equal answers are judged once (`Prepared.verdicts`).
"""

from __future__ import annotations

import traceback
from dataclasses import replace
from typing import Literal

from stepnav.core.errors import DataError, SandboxError, quote
from stepnav.sandbox.answers import from_answer, lost
from stepnav.sandbox.box import join, split
from stepnav.sandbox.live import open_session
from stepnav.sandbox.pool import Sandbox
from stepnav.sandbox.proxy import (
    DivergedError,
    PendingError,
    RefusedError,
    ReplaySession,
    Session,
    StoppedError,
)
from stepnav.sandbox.records import CallResult, Problem, Verdict
from stepnav.sandbox.trusted_test import TrustedTest
from stepnav.sandbox.worker import End

DETAIL_CHARACTERS = 200
MAX_VERDICTS = 4096
"""Distinct answers whose verdict is kept per problem."""


class Prepared:
    """A problem with the recorded calls of its reference.

    Attributes:
      test: the compiled test.
      calls: encoded operations, as the test asks them of the reference; None without a reference.
      cpu_s: CPU seconds that the reference took, its process included; None without one.
      own_cpu_s: CPU seconds that it takes in a batch; None before the first batch.
      digests: what tells its answers in a batch from others; empty before the first batch, or if it
        is unusual.
      verdicts: verdicts by answers, which are complete or settle it without the rest.
    """

    def __init__(self, sandbox: Sandbox, problem: Problem, cpu_s: float | None) -> None:
        self.test = TrustedTest(problem)
        self.calls: list[bytes] | None = None
        self.cpu_s: float | None = None
        self.own_cpu_s: float | None = None
        self.digests: list[bytes] = []
        self.verdicts: dict[bytes, Verdict] = {}
        if problem.reference is not None:
            self._record(sandbox, problem.reference, cpu_s)

    def _record(self, sandbox: Sandbox, reference: str, cpu_s: float | None) -> None:
        with open_session(sandbox, reference, cpu_s=cpu_s) as session:
            verdict = _settled(self.test, session, session.loaded, sandbox)
            end = session.finish()
        if verdict.status != "passed":
            raise DataError(
                f"the reference fails its own test ({verdict.status}: {verdict.detail}); "
                "correct it, or raise the limit if it is slow"
            )
        if not session.asked:
            raise DataError("the test never calls the reference, so it can judge nothing")
        self.calls = session.asked
        self.cpu_s = end.cpu_s


def prepare(sandbox: Sandbox, problem: Problem, *, cpu_s: float | None = None) -> Prepared:
    """Return a problem ready for judging; made once per sandbox and problem.

    Args:
      cpu_s: CPU seconds for the reference; None for the sandbox's limit.

    Raises:
      DataError: the test has no tests, does not parse, cannot be judged in a sandbox, or the
        reference fails it.
      SandboxError: nothing can be run.
    """
    known = sandbox.prepared.get(problem)
    if isinstance(known, Prepared):
        return known
    made = Prepared(sandbox, problem, cpu_s)
    sandbox.prepared[problem] = made
    return made


def judge(
    sandbox: Sandbox,
    *,
    source: str,
    test: str,
    entry_point: str,
    style: Literal["humaneval", "mbpp"],
    reference: str | None = None,
    setup: str = "",
    cpu_s: float | None = None,
) -> Verdict:
    """Return whether a program passes a test.

    Args:
      sandbox: where the program runs.
      source: the program, whole.
      test: HumanEval's `check(candidate)`, or MBPP's asserts, one a line.
      entry_point: the function under test.
      style: whose names the test uses, see `trusted_test`.
      reference: a program that passes; makes judging one message instead of one per call, and
        answers a HumanEval test that calls the entry point or a helper by name.
      setup: statements before the asserts.
      cpu_s: CPU seconds for the program (and the reference); None for the sandbox's limit.

    Raises:
      DataError, SandboxError: as `prepare`.
    """
    problem = Problem(test, entry_point, style, reference, setup)
    return judge_problem(sandbox, problem, source, cpu_s=cpu_s)


def judge_problem(
    sandbox: Sandbox, problem: Problem, source: str, *, cpu_s: float | None = None
) -> Verdict:
    """Return whether a program passes a problem's test, in a fork of its own."""
    prepared = prepare(sandbox, problem, cpu_s=cpu_s)
    if prepared.calls is None:
        return _judge_live(sandbox, prepared, source, cpu_s)
    with sandbox.answering(source, prepared.calls, cpu_s=cpu_s) as answering:
        while answering.end is None:
            if answering.wait():
                continue
            early = early_verdict(sandbox, prepared, join(answering.answers))
            if early is not None:
                return replace(early, cpu_s=answering.finish().cpu_s)
        answers, end = answering.answers, answering.end
    verdict = verdict_of(sandbox, prepared, answers, end)
    if verdict is None:
        return _judge_live(sandbox, prepared, source, cpu_s)
    return replace(verdict, cpu_s=end.cpu_s)


def verdict_of(
    sandbox: Sandbox, prepared: Prepared, answers: list[bytes], end: End
) -> Verdict | None:
    """Return the verdict on complete answers; None if the test has to be run live."""
    assert prepared.calls is not None, "only recorded problems are judged by their answers"
    if len(answers) <= len(prepared.calls):
        return _replay(sandbox, prepared, answers, end)
    return early_verdict(sandbox, prepared, join(answers))


def early_verdict(sandbox: Sandbox, prepared: Prepared, joined: bytes) -> Verdict | None:
    """Return the verdict if these answers settle it, whatever comes after them; remembered.

    Args:
      joined: the first answers, see `box.join`.
    """
    known = prepared.verdicts.get(joined)
    if known is None:
        known = _replay(sandbox, prepared, split(joined), None)
        if known is not None and len(prepared.verdicts) < MAX_VERDICTS:
            prepared.verdicts[joined] = known
    return known


def _replay(
    sandbox: Sandbox, prepared: Prepared, answers: list[bytes], end: End | None
) -> Verdict | None:
    """Return the verdict; None if it needs other calls, or answers that are not there yet."""
    assert prepared.calls is not None, "only recorded problems are replayed"
    depth = sandbox.limits.max_depth
    if not answers and end is None:
        return None
    loaded = from_answer(answers[0], max_depth=depth) if answers else lost(end)  # type: ignore[arg-type]
    session = ReplaySession(prepared.calls, answers[1:], end, depth)
    try:
        return _settled(prepared.test, session, loaded, sandbox)
    except (DivergedError, PendingError):
        return None


def _judge_live(sandbox: Sandbox, prepared: Prepared, source: str, cpu_s: float | None) -> Verdict:
    for attempt in (0, 1):
        try:
            with open_session(sandbox, source, cpu_s=cpu_s) as session:
                verdict = _settled(prepared.test, session, session.loaded, sandbox)
                return replace(verdict, cpu_s=session.finish().cpu_s)
        except SandboxError:
            if attempt:
                raise
    raise AssertionError("unreachable: the second attempt returns or raises")


def _settled(test: TrustedTest, session: Session, loaded: CallResult, sandbox: Sandbox) -> Verdict:
    """Run the test; return its verdict, without the CPU time."""
    level = sandbox.level
    if loaded.status == "error":
        detail = f"the program does not load: {loaded.type_name}: {loaded.message}"
        return Verdict("error", _line(detail), level)
    if loaded.status != "value":
        status = "crash" if loaded.status in ("object", "encoding") else loaded.status
        return Verdict(status, _line(f"while loading: {loaded.message}"), level)  # type: ignore[arg-type]
    try:
        test.run(session)
    except StoppedError as stop:
        return Verdict(stop.status, _line(stop.detail), level)
    except RefusedError as refused:
        raise DataError(f"{refused}, which cannot be judged in a sandbox") from None
    except DataError:
        raise
    except Exception as error:
        if error is session.raised:
            return Verdict("error", _line(f"{type(error).__name__}: {error}"), level)
        return Verdict("failed", _line(_where(test, error)), level)
    return Verdict("passed", "", level)


def _where(test: TrustedTest, error: Exception) -> str:
    """Return the line of the test that failed, with the error unless it is a plain assertion."""
    number = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename == "<test>":
            number = line
    text = test.lines[number - 1].strip() if number else ""
    if type(error) is AssertionError and not str(error):
        return text
    return f"{text} ({type(error).__name__}: {error})"


def _line(text: str) -> str:
    return quote(" ".join(text.split()))[1:-1][:DETAIL_CHARACTERS]
