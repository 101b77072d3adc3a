"""One sampled sequence on its way, and the answer that a request gets of them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from stepnav.core.backend import Answer
from stepnav.core.budget import Usage
from stepnav.core.records import Finish, Reply, Step
from stepnav.core.requests import Ask, PolicyRequest, Propose
from stepnav.core.seeds import derive_seed
from stepnav.core.thoughts import answer_part
from stepnav.engine.queue import Job
from stepnav.engine.row import Row
from stepnav.policies.local.prompt import StepCutter
from stepnav.policies.remainder import Drawing, Tries


@dataclass(eq=False, slots=True, kw_only=True)
class Sample(Row):
    """One sequence that is being sampled.

    Attributes:
      request: what it is drawn for.
      seed: what its draws depend on, with `num_tokens`.
      limit: most tokens.
      start: where in `tokens` the current step begins.
      num_known: tokens of known steps that it begins with; nothing is sampled for them.
      num_tokens: tokens sampled so far, the end-of-sequence token included.
      num_step_tokens, logprob: the part of it in the current step, and their log-probability.
      num_draws: how often it was drawn, until it was new.
      steps: finished steps; none where nothing was left to draw.
      drawing: how its first step is drawn from what is left; None once that is finished, or where
        samples are independent.
    """

    request: PolicyRequest
    seed: int
    limit: int
    start: int
    num_known: int = 0
    num_tokens: int = 0
    num_step_tokens: int = 0
    logprob: float = 0.0
    num_draws: int = 1
    steps: list[Step] = field(default_factory=list)
    drawing: Drawing | None = None

    @classmethod
    def of(
        cls,
        request: PolicyRequest,
        prompt: Sequence[int],
        limit: int,
        tries: Tries,
        before: Sequence[Sample] = (),
    ) -> Sample:
        """Return a request's sample after those before, which continues a prompt's tokens."""
        end, seed = len(prompt), derive_seed(request.seed or 0, request.first + len(before))
        sample = cls(
            list(prompt), (end - 1,), limit, request=request, seed=seed, limit=limit, start=end
        )
        if excludes(request):
            known = [*(request.sampling.without or ()), *(other.steps[0] for other in before)]
            sample.drawing = Drawing(tries.of(known, limit))
        return sample

    @property
    def left(self) -> int:
        """Tokens that its limit leaves."""
        return self.limit - self.num_known - self.num_tokens

    def depart(self) -> None:
        """Take known tokens up to where it leaves what was drawn before (`policies/remainder.py`).

        They cost nothing: what the model makes of them was seen when they were drawn.
        """
        assert self.drawing is not None, "only what excludes leaves known steps"
        self.drawing.depart(Random(self.seed))
        self.tokens += self.drawing.tokens
        self.wanted = (len(self.tokens) - 1,)
        self.logprob = math.fsum(logprob for _, logprob in self.drawing.told)
        self.num_known = len(self.drawing.tokens)
        self.room -= self.num_known


def excludes(request: PolicyRequest) -> bool:
    """Return whether a request's samples exclude each other, and so are drawn one after another."""
    return request.sampling.without is not None and not isinstance(request, Ask)


def answer_of(job: Job[Sample], flops_per_token: int) -> Answer:
    """Return a request's finished samples with what they cost."""
    samples, items = job.rows, tuple[Any, ...]()
    request = samples[0].request
    if isinstance(request, Propose):
        items = tuple(sample.steps[0] for sample in samples if sample.steps)
    elif isinstance(request, Ask):
        texts = [sample.steps[0] for sample in samples]
        items = tuple(Reply(s.text, s.finish, s.num_tokens, s.logprob) for s in texts)
    else:
        items = tuple(request.prefix.extend(*s.steps) for s in samples if s.steps)
    prompt = sum(job.prefix_tokens[-1] + sample.num_known for sample in samples)
    cached = sum(sample.num_cached for sample in samples)
    generated = sum(sample.num_tokens for sample in samples)
    usage = Usage(
        policy_calls=sum(sample.num_draws for sample in samples),
        policy_prompt_tokens=prompt,
        policy_cached_tokens=cached,
        policy_tokens=generated,
        flops=flops_per_token * (prompt - cached + generated),
    )
    return Answer(items, usage, job.prefix_tokens, flops_per_token)


class StepWriter:
    """Decides after each token whether a sample's step or solution is finished.

    Args:
      cutter: finds step ends.
      end_tokens: end-of-sequence tokens.
      answer_pattern: a step in which it is found ends the solution, unless it is a thought.
      before: what all solutions go on from, as far as it opens a thought.
    """

    def __init__(
        self,
        cutter: StepCutter,
        end_tokens: frozenset[int],
        answer_pattern: str | None,
        before: str = "",
    ) -> None:
        self._cutter = cutter
        self._before = before
        self._end_tokens = end_tokens
        self._answer = re.compile(answer_pattern) if answer_pattern else None

    def add(self, sample: Sample, token: int, logprob: float) -> bool:
        """Add a token; return whether the sample is finished."""
        sample.num_tokens += 1
        sample.num_step_tokens += 1
        sample.logprob += logprob
        if token in self._end_tokens:
            self._finish(sample, self._text(sample), "end")
            return True
        sample.tokens.append(token)
        sample.room -= 1
        is_full = sample.left <= 0
        is_free = isinstance(sample.request, Ask)
        text = self._text(sample) if is_full or self._cutter.may_end(token) else ""
        kept, is_past_end = self._cutter.before_end_string(text)
        if is_past_end and not is_free:
            self._finish(sample, kept, "end", is_cut=True)
            return True
        if is_free or not self._cutter.is_end(text):
            if is_full:
                self._finish(sample, text, "length")
            return is_full
        if self._answer is not None and self._answer.search(self._answer_part(sample, text)):
            self._finish(sample, text, "end")
            return True
        is_step = isinstance(sample.request, Propose)
        self._finish(sample, text, "length" if is_full and not is_step else "step")
        return is_step or is_full

    def _answer_part(self, sample: Sample, text: str) -> str:
        """Return a sample's current step without what of it is a thought."""
        assert not isinstance(sample.request, Ask), "free text has no steps"
        before = self._before + sample.request.prefix.text
        return answer_part(text, before + "".join(step.text for step in sample.steps))

    def _text(self, sample: Sample) -> str:
        tokens, start = sample.tokens, sample.start
        return self._cutter.text(tokens[max(start - 1, 0) : start], tokens[start:])

    def _finish(self, sample: Sample, text: str, finish: Finish, *, is_cut: bool = False) -> None:
        """Close the current step, whose text this is; of one that was cut the tokens are not told.

        An end with nothing before it ends the step before, if the sample has one.
        """
        tokens = sample.tokens
        ids = None if is_cut else tuple(tokens[sample.start :])
        num_tokens, logprob = sample.num_step_tokens, sample.logprob
        draw = None if sample.drawing is None else sample.drawing.finished()
        if finish == "end" and not text.strip() and sample.steps:
            last = sample.steps.pop()
            text = last.text + text
            ids = None if ids is None else (last.token_ids or ()) + ids
            num_tokens, logprob = last.num_tokens + num_tokens, (last.logprob or 0.0) + logprob
            draw = last.draw
        sample.steps.append(Step(text, finish, num_tokens, ids, logprob, draw))
        sample.drawing = None
        sample.start = len(tokens)
        sample.num_step_tokens, sample.logprob = 0, 0.0
