"""Verdicts: the test runs here, in the trusted parent; only the candidate runs in the box.

What the test asks of the reference is recorded once per problem. A candidate gets all those calls
in one message; its answers are then replayed to the test, out here. A test that asks a candidate
something else (because an earlier answer differed) is run again against the live candidate. So is
every candidate of a test whose calls hang on answers: an argument may be the expected one.

A verdict depends on the answers alone, so that equal answers are judged once (`Prepared.verdicts`),
and it is read off what happened in the session, not off what the test made of it.
"""

from __future__ import annotations

import contextlib
import time
import traceback
from dataclasses import replace
from typing import Literal

from stepnav.core.errors import DataError, SandboxError, quote
from stepnav.sandbox.answers import from_answer, lost
from stepnav.sandbox.control import ControlError, RefusedError, Session, StoppedError
from stepnav.sandbox.inside.batch_box import digest
from stepnav.sandbox.inside.box import join, split
from stepnav.sandbox.live import LiveSession, open_session
from stepnav.sandbox.pool import PATIENCE_S, Sandbox
from stepnav.sandbox.proxy import ReplaySession
from stepnav.sandbox.records import CallResult, Suite, Verdict
from stepnav.sandbox.streams import judge_streams
from stepnav.sandbox.trusted_test import TrustedTest
from stepnav.sandbox.unseen import BlindSession
from stepnav.sandbox.worker import End

DETAIL_CHARACTERS = 200
MAX_VERDICTS = 4096
"""Distinct answers whose verdict is kept per problem."""

MAX_PREPARED = 4096
"""Problems whose recorded calls are kept per sandbox."""

FIRST_LOOK_S = 0.02
"""A program that is silent for so long is judged by the answers so far, in case they settle it."""

LOOK_SHARE = 10
"""Looking takes one part in so many of the time."""


class Prepared:
    """A problem with the recorded calls of its reference.

    Attributes:
      test: the compiled test.
      calls: encoded operations, as the test asks them of the reference; None without a reference.
      has_fixed_calls: whether it asks them without a look at any answer, see `unseen`.
      cpu_s: CPU seconds that the reference took, its process included; None without one.
      own_cpu_s: CPU seconds that it takes in a batch; None before the first batch.
      digests: what tells its answers in a batch from others; empty before the first batch, or if it
        is unusual.
      verdicts: verdicts by the digest of answers, which are complete or settle it without the rest.
    """

    def __init__(self, sandbox: Sandbox, problem: Suite, cpu_s: float | None) -> None:
        self.test = TrustedTest(problem)
        self.calls: list[bytes] | None = None
        self.has_fixed_calls = False
        self.cpu_s: float | None = None
        self.own_cpu_s: float | None = None
        self.digests: list[bytes] = []
        self.verdicts: dict[bytes, Verdict] = {}
        if problem.reference is not None:
            self._record(sandbox, problem.reference, cpu_s)

    def _record(self, sandbox: Sandbox, reference: str, cpu_s: float | None) -> None:
        verdict, session = _ask_live(sandbox, self.test, reference, cpu_s)
        if verdict.status != "passed":
            raise DataError(
                f"the reference fails its own test ({verdict.status}: {verdict.detail}); "
                "correct it, or raise the limit if it is slow"
            )
        if not session.asked:
            raise DataError("the test never calls the reference, so it can judge nothing")
        self.calls = session.asked
        self.cpu_s = verdict.cpu_s
        if self.test.can_peek:
            return
        blind = BlindSession(session.asked, session.answers, sandbox.limits.max_depth)
        with contextlib.suppress(DataError):
            _outcome(self.test, blind, is_blind=True)
            self.has_fixed_calls = blind.stopped is None and blind.num_asked == len(self.calls)


def prepare(sandbox: Sandbox, problem: Suite, *, cpu_s: float | None = None) -> Prepared:
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
    if len(sandbox.prepared) >= MAX_PREPARED:
        sandbox.prepared.clear()
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
    problem = Suite(test, entry_point, style, reference, setup)
    return judge_problem(sandbox, problem, source, cpu_s=cpu_s)


def judge_problem(
    sandbox: Sandbox, problem: Suite, source: str, *, cpu_s: float | None = None
) -> Verdict:
    """Return whether a program passes a problem's test, in a fork of its own (one per input)."""
    if problem.style == "stdin":
        return judge_streams(sandbox, problem, source, cpu_s=cpu_s)
    prepared = prepare(sandbox, problem, cpu_s=cpu_s)
    if prepared.calls is None or not prepared.has_fixed_calls:
        return _ask_live(sandbox, prepared.test, source, cpu_s)[0]
    with sandbox.answering(source, prepared.calls, cpu_s=cpu_s) as answering:
        patience_s, num_seen = FIRST_LOOK_S, 0
        while answering.end is None:
            has_news = len(answering.answers) > num_seen
            if answering.wait(patience_s if has_news else PATIENCE_S) or not has_news:
                continue
            began, num_seen = time.perf_counter(), len(answering.answers)
            early = early_verdict(sandbox, prepared, join(answering.answers))
            if early is not None:
                return replace(early, cpu_s=answering.finish().cpu_s)
            patience_s = max(FIRST_LOOK_S, LOOK_SHARE * (time.perf_counter() - began))
        answers, end = answering.answers, answering.end
    verdict = verdict_of(sandbox, prepared, answers, end)
    if verdict is None:
        return _ask_live(sandbox, prepared.test, source, cpu_s)[0]
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
    key = digest(joined)
    known = prepared.verdicts.get(key)
    if known is None:
        known = _replay(sandbox, prepared, split(joined), None)
        if known is not None and len(prepared.verdicts) < MAX_VERDICTS:
            prepared.verdicts[key] = known
    return known


def _replay(
    sandbox: Sandbox, prepared: Prepared, answers: list[bytes], end: End | None
) -> Verdict | None:
    """Return the verdict; None if it needs other calls, or answers that are not there yet."""
    assert prepared.calls is not None, "only recorded problems are replayed"
    depth = sandbox.limits.max_depth
    if not answers and end is None:
        return None
    loaded = (
        from_answer(answers[0], max_depth=depth) if answers else lost(end)  # type: ignore[arg-type]
    )
    session = ReplaySession(prepared.calls, answers[1:], end, depth)
    return _settled(prepared.test, session, loaded, sandbox)


def _ask_live(
    sandbox: Sandbox, test: TrustedTest, source: str, cpu_s: float | None
) -> tuple[Verdict, LiveSession]:
    """Run the test against a live candidate; a warm parent that dies is replaced once."""
    for attempt in (0, 1):
        try:
            with open_session(sandbox, source, cpu_s=cpu_s) as session:
                verdict = _settled(test, session, session.loaded, sandbox)
                assert verdict is not None, "a live session has every answer"
                return replace(verdict, cpu_s=session.finish().cpu_s), session
        except SandboxError:
            if attempt:
                raise
    raise AssertionError("unreachable: the second attempt returns or raises")


def _settled(
    test: TrustedTest, session: Session, loaded: CallResult, sandbox: Sandbox
) -> Verdict | None:
    """Run the test; return its verdict without the CPU time, None if the session has no answer."""
    level = sandbox.level
    if loaded.status == "error":
        detail = f"the program does not load: {loaded.type_name}: {loaded.message}"
        return Verdict("error", _line(detail), level)
    if loaded.status != "value":
        status = "crash" if loaded.status in ("object", "encoding") else loaded.status
        message = _line(f"while loading: {loaded.message}")
        return Verdict(status, message, level)  # type: ignore[arg-type]
    error = _outcome(test, session)
    stopped = session.stopped
    if isinstance(stopped, StoppedError):
        return Verdict(stopped.status, _line(stopped.detail), level)
    if isinstance(stopped, RefusedError):
        raise DataError(f"{stopped}, which cannot be judged in a sandbox")
    if stopped is not None:
        return None
    if error is None:
        return Verdict("passed", "", level)
    if error is session.raised:
        return Verdict("error", _line(_described(error)), level)
    return Verdict("failed", _line(_where(test, error)), level)


def _outcome(
    test: TrustedTest, session: Session, *, is_blind: bool = False
) -> BaseException | None:
    """Run the test; return what it raised itself, None if it passed or was ended from outside."""
    try:
        test.run(session, is_blind=is_blind)
    except ControlError:  # the session has it on record
        return None
    except (DataError, KeyboardInterrupt):
        raise
    except BaseException as error:  # pytest's outcomes are no `Exception`
        return error
    return None


def _where(test: TrustedTest, error: BaseException) -> str:
    """Return the line of the test that failed, with the error unless it is a plain assertion."""
    number = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename == "<test>":
            number = line
    text = test.lines[number - 1].strip() if number else ""
    described = _described(error)
    return text if described == "AssertionError: " else f"{text} ({described})"


def _described(error: BaseException) -> str:
    """Return an exception's type and text, which may hold an integer too long to be written."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return f"{type(error).__name__} (its text cannot be shown)"


def _line(text: str) -> str:
    return quote(" ".join(text.split()))[1:-1][:DETAIL_CHARACTERS]
