"""One sampled sequence on its way, and the request that it belongs to."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from stepnav.core.backend import Answer
from stepnav.core.budget import Usage
from stepnav.core.records import Finish, Reply, Step
from stepnav.core.requests import Ask, PolicyRequest, Propose
from stepnav.core.seeds import derive_seed
from stepnav.engine.row import Row
from stepnav.policies.local.prompt import StepCutter
from stepnav.policies.local.remainder import Drawing, trie_of


@dataclass(eq=False, slots=True)
class Job:
    """A request under way.

    Attributes:
      ticket, request: as submitted.
      prefix_tokens: tokens of the prompt and after each step of the prefix.
      tokens: of the prompt and the prefix.
      limit: most tokens of a sample.
      samples: one per item, order as asked.
      num_open: samples that are not finished.
    """

    ticket: int
    request: PolicyRequest
    prefix_tokens: tuple[int, ...]
    tokens: list[int]
    limit: int
    samples: list[Sample] = field(default_factory=list)
    num_open: int = 0

    @property
    def is_remainder(self) -> bool:
        """Whether its samples exclude each other, and so are drawn one after the other."""
        is_free = isinstance(self.request, Ask)
        return self.request.sampling.without is not None and not is_free

    def next_sample(self) -> Sample:
        """Return a further sample that is to be drawn."""
        request = self.request
        seed = derive_seed(request.seed or 0, request.first + len(self.samples))
        row = Row(list(self.tokens), (len(self.tokens) - 1,), room=self.limit)
        sample = Sample(self, row, seed, self.limit, len(self.tokens))
        if self.is_remainder:
            drawn = [other.steps[0] for other in self.samples]
            known = [*(request.sampling.without or ()), *drawn]
            sample.drawing = Drawing(trie_of(known, self.limit))
        self.samples.append(sample)
        return sample

    def answer(self, flops_per_token: int) -> Answer:
        """Return the finished samples with what they cost."""
        request, items = self.request, tuple[Any, ...]()
        if isinstance(request, Propose):
            items = tuple(sample.steps[0] for sample in self.samples if sample.steps)
        elif isinstance(request, Ask):
            texts = [sample.steps[0] for sample in self.samples]
            items = tuple(Reply(s.text, s.finish, s.num_tokens, s.logprob) for s in texts)
        else:
            items = tuple(
                request.prefix.extend(*sample.steps) for sample in self.samples if sample.steps
            )
        prompt = self.prefix_tokens[-1] * len(self.samples)
        cached = sum(sample.row.num_cached for sample in self.samples)
        generated = sum(sample.num_tokens for sample in self.samples)
        usage = Usage(
            policy_calls=len(self.samples),
            policy_prompt_tokens=prompt,
            policy_cached_tokens=cached,
            policy_tokens=generated,
            flops=flops_per_token * (prompt - cached + generated),
        )
        return Answer(items, usage, self.prefix_tokens, flops_per_token)


@dataclass(eq=False, slots=True)
class Sample:
    """One sequence that is being sampled.

    Attributes:
      job: its request.
      row: its tokens in the engine.
      seed: what its draws depend on, with `num_tokens`.
      limit: most tokens.
      start: where in `row.tokens` the current step begins.
      num_tokens: tokens sampled so far, the end-of-sequence token included.
      num_step_tokens, logprob: the part of it in the current step, and their log-probability.
      steps: finished steps; none where nothing was left to draw.
      drawing: how its first step is drawn from what is left; None once that is finished, or where
        samples are independent.
    """

    job: Job
    row: Row
    seed: int
    limit: int
    start: int
    num_tokens: int = 0
    num_step_tokens: int = 0
    logprob: float = 0.0
    steps: list[Step] = field(default_factory=list)
    drawing: Drawing | None = None


class StepWriter:
    """Decides after each token whether a sample's step or solution is finished.

    Args:
      cutter: finds step ends.
      end_tokens: end-of-sequence tokens.
      answer_pattern: a step in which it is found ends the solution.
    """

    def __init__(
        self, cutter: StepCutter, end_tokens: frozenset[int], answer_pattern: str | None
    ) -> None:
        self._cutter = cutter
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
        sample.row.tokens.append(token)
        sample.row.room -= 1
        is_full = sample.num_tokens >= sample.limit
        is_free = isinstance(sample.job.request, Ask)
        text = self._text(sample) if is_full or self._cutter.may_end(token) else ""
        kept, is_past_end = self._cutter.before_end_string(text)
        if is_past_end and not is_free:
            self._finish(sample, kept, "end", is_cut=True)
            return True
        if is_free or not self._cutter.is_end(text):
            if is_full:
                self._finish(sample, text, "length")
            return is_full
        if self._answer is not None and self._answer.search(text):
            self._finish(sample, text, "end")
            return True
        is_step = isinstance(sample.job.request, Propose)
        self._finish(sample, text, "length" if is_full and not is_step else "step")
        return is_step or is_full

    def _text(self, sample: Sample) -> str:
        tokens, start = sample.row.tokens, sample.start
        return self._cutter.text(tokens[max(start - 1, 0) : start], tokens[start:])

    def _finish(self, sample: Sample, text: str, finish: Finish, *, is_cut: bool = False) -> None:
        """Close the current step, whose text this is; of one that was cut the tokens are not told.

        An end with nothing before it ends the step before, if the sample has one.
        """
        tokens = sample.row.tokens
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
