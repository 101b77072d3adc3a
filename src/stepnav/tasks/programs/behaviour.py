"""Programs that behave alike are one answer, however they are written.

Votes over programs count behaviours (AlphaCode, Li et al. 2022, arXiv 2203.07814; CodeT, Chen et
al. 2022, arXiv 2207.10397): each program is run on the inputs of the public tests and on more of
the same pattern (`inputs/fuzz.py`). Differs in: behaviours are compared, not passes; expected
results are never looked at, hidden tests neither.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

from stepnav.core.seeds import derive_seed
from stepnav.sandbox.pool import Sandbox
from stepnav.sandbox.records import Call, Job, Suite
from stepnav.sandbox.streams import pairs_of, stream_job
from stepnav.tasks.inputs.calls import KnownCall, known_calls
from stepnav.tasks.inputs.fuzz import fuzz_inputs
from stepnav.tasks.inputs.values import outcome_of, written

MAX_INPUTS = 20
CPU_S = 1.0
"""Of one program on all inputs."""


class Behaviours:
    """Tells which answers of one problem behave alike; the first of them stands for all.

    Nothing is run before there are two different answers.

    Args:
      sandbox: called when programs are first run.
      program_of: an answer to the program that it makes.
      test: the public tests; None, or one without literal calls, leaves every answer its own.
    """

    def __init__(
        self, sandbox: Callable[[], Sandbox], program_of: Callable[[str], str], test: Suite | None
    ) -> None:
        self._sandbox = sandbox
        self._program_of = program_of
        self._test = test
        self._stands_for: dict[str, str] = {}
        self._first_of: dict[str, str] = {}

    def __call__(self, answer: str) -> str:
        """Return the first answer that behaved as this one does."""
        known = self._stands_for
        if answer not in known:
            known[answer] = self._first_like(answer) if known and self._job else answer
        return known[answer]

    def _first_like(self, answer: str) -> str:
        if not self._first_of:  # the first answer was not run: there was nothing to compare it with
            (first,) = self._stands_for
            self._first_of[self._behaviour(first)] = first
        return self._first_of.setdefault(self._behaviour(answer), answer)

    @cached_property
    def _job(self) -> Callable[[str], Job] | None:
        """What programs are asked; made when there are two to compare: most searches have not."""
        test = self._test
        if test is None:
            return None
        if test.style == "stdin":
            texts = [text for text, _ in pairs_of(test)[:MAX_INPUTS]]
            return lambda program: stream_job(program, texts, cpu_s=CPU_S)
        name = test.entry_point
        calls = tuple(Call(name, call.args, call.kwargs) for call in inputs_of(test))
        return (lambda program: Job(program, calls, cpu_s=CPU_S)) if calls else None

    def _behaviour(self, answer: str) -> str:
        """Return what a program gives on all inputs; one that gives nothing is like no other."""
        assert self._job is not None, "there is something to ask"
        result = self._sandbox().run(self._job(self._program_of(answer)))
        outcomes = [outcome_of(call) for call in result.calls]
        return answer if not any(outcomes) else written(outcomes)


def inputs_of(test: Suite) -> Sequence[KnownCall]:
    """Return the inputs of a test's calls, and others of their pattern, always the same."""
    known = known_calls([test.test], [test.entry_point, "candidate"])
    if not known:
        return ()
    more = fuzz_inputs(known, MAX_INPUTS - min(len(known), MAX_INPUTS), seed=derive_seed(test.test))
    return [*known[:MAX_INPUTS], *more]
