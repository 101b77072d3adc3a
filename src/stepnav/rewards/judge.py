"""A reward model that is a language model asked for its opinion: the policy, or any chat model.

Each step is rated by a question of its own, with worked examples (`core/judging.py`), through
`Ask`. It is asked greedily; a reply that cannot be read is asked for again, drawn at temperature 1,
and after `max_retries` the step counts as unclear, rating 0. A rating is remembered, so that a step
is asked about once whatever is searched below it; no seed of a run changes it.

What it costs is charged as reward tokens: those of the prompt, worked examples included, and those
of the replies, retries included, of every step once for each search, as if nothing of a prompt were
cached between questions. `reward_calls` counts scored trajectories, as with every reward model; how
many questions were asked stands in `counts`.
"""

from __future__ import annotations

import itertools
import logging
from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from stepnav.core.backend import Answer, Backend
from stepnav.core.budget import Usage
from stepnav.core.errors import BackendError, ConfigError
from stepnav.core.judging import (
    REPLY_TOKENS,
    rating_messages,
    score_by_answer,
    score_by_logprob,
)
from stepnav.core.records import StepScore, Trajectory
from stepnav.core.requests import Ask, Request, Sampling, Score
from stepnav.core.seeds import derive_seed

logger = logging.getLogger("stepnav")

Read = Literal["answer", "logprob"]
UNREADABLE = StepScore.from_rating(0)
MAX_OPINIONS = 65536
"""Steps whose rating is remembered; then all are forgotten that are not still open. With their
texts that is some 120 MiB, and a server's judge lives long."""
TEMPLATE_TOKENS = 16
"""Assumed of a chat template, per message at most, where a question's tokens are bounded."""


@dataclass(eq=False, slots=True)
class _Opinion:
    """What is known about the last step of a prefix.

    Attributes:
      prefix: it and what stands before it.
      waiting: tickets that wait for it.
      number: of the open question; None if it is answered.
      tries: questions asked so far.
      tokens: what they cost.
      score: None while it is open.
    """

    prefix: Trajectory
    waiting: set[int] = field(default_factory=set)
    number: int | None = None
    tries: int = 0
    tokens: int = 0
    score: StepScore | None = None


class JudgeReward:
    """Scores steps by what a language model says about them.

    Args:
      model: answers `Ask`; closed with the judge.
      read: "answer", the word that it says, a sure rating; "logprob", the probability of that word,
        of one token, the rest being shared by the others; a backend that tells none is refused.
      max_retries: how often an unreadable reply is asked for again.

    Attributes:
      model: who is asked.
      counts: "asked", questions in all; "retried", those of them that repeat one; "unreadable",
        steps that are taken as unclear because no reply could be read.
    """

    def __init__(self, model: Backend, read: Read = "answer", *, max_retries: int = 2) -> None:
        if read not in ("answer", "logprob"):
            raise ConfigError(f"read must be answer or logprob (got {read!r})")
        if max_retries < 0:
            raise ConfigError(f"max_retries must be at least 0 (got {max_retries})")
        self.counts = {"asked": 0, "retried": 0, "unreadable": 0}
        self.model, self._read, self._max_retries = model, read, max_retries
        self._numbers = itertools.count()
        self._asked: dict[int, _Opinion] = {}
        self._opinions: dict[tuple[str, ...], _Opinion] = {}
        self._open: dict[int, list[_Opinion]] = {}
        self._done: deque[tuple[int, Answer | BackendError]] = deque()
        self._flops_per_token: int | None = None

    def submit(self, ticket: int, request: Request) -> None:
        """Take a `Score`."""
        if not isinstance(request, Score):
            raise TypeError(f"a reward model cannot answer {type(request).__name__}")
        if len(self._opinions) > MAX_OPINIONS:
            self._opinions = {k: o for k, o in self._opinions.items() if o.score is None}
        self._open[ticket] = self._opinions_of(request.trajectory)
        for opinion in self._open[ticket]:
            if opinion.score is None:
                opinion.waiting.add(ticket)
                if opinion.number is None:
                    self._ask(opinion)
        self._settle(ticket)

    def poll(self, timeout_s: float) -> list[tuple[int, Answer | BackendError]]:
        """Return the trajectories whose steps are all rated."""
        if self._asked and not self._done:
            for number, answer in self.model.poll(timeout_s):
                opinion = self._asked.pop(number, None)
                if opinion is not None:
                    self._take(opinion, answer)
        ready = list(self._done)
        self._done.clear()
        return ready

    def cancel(self, ticket: int) -> None:
        """Forget a request, and the questions that nothing else waits for."""
        for opinion in self._open.pop(ticket, ()):
            opinion.waiting.discard(ticket)
            if opinion.number is not None and not opinion.waiting:
                self._asked.pop(opinion.number)
                self.model.cancel(opinion.number)
                del self._opinions[_key(opinion.prefix)]
        self._done = deque(item for item in self._done if item[0] != ticket)

    def token_bound(self, request: Request) -> int:
        """Return the most tokens that a score may cost: no token is shorter than a byte."""
        assert isinstance(request, Score), "a reward model bounds scores only"
        questions = [rating_messages(prefix) for prefix in _prefixes(request.trajectory)]
        sizes = [len(m.content.encode()) + TEMPLATE_TOKENS for some in questions for m in some]
        replies = REPLY_TOKENS * len(questions)
        return (1 + self._max_retries) * (sum(sizes) + replies)

    def close(self) -> None:
        """Forget all requests and close the model; may be called twice."""
        if self.counts["unreadable"] and self._opinions:
            logger.warning(
                "the judge's replies about %d of %d steps could not be read; they count as unclear",
                self.counts["unreadable"],
                self.counts["asked"] - self.counts["retried"],
            )
        self._asked.clear()
        self._opinions.clear()
        self._open.clear()
        self._done.clear()
        self.model.close()

    def _opinions_of(self, trajectory: Trajectory) -> list[_Opinion]:
        return [self._opinions.setdefault(_key(p), _Opinion(p)) for p in _prefixes(trajectory)]

    def _ask(self, opinion: _Opinion) -> None:
        """Ask about a step, greedily at first."""
        limit = REPLY_TOKENS if self._read == "answer" else 1
        sampling = Sampling(1.0 if opinion.tries else 0.0, max_tokens=limit)
        seed = derive_seed("judge", *_key(opinion.prefix), opinion.tries)
        opinion.number = next(self._numbers)
        opinion.tries += 1
        self.counts["asked"] += 1
        self.counts["retried"] += opinion.tries > 1
        self._asked[opinion.number] = opinion
        self.model.submit(
            opinion.number, Ask(rating_messages(opinion.prefix), 1, sampling, seed=seed)
        )

    def _take(self, opinion: _Opinion, answer: Answer | BackendError) -> None:
        """Read a reply; ask again if it cannot be read."""
        opinion.number = None
        if isinstance(answer, BackendError):
            self._fail(opinion, answer)
            return
        prompt = answer.usage.policy_prompt_tokens - answer.usage.policy_cached_tokens
        if answer.prefix_tokens is not None:
            prompt, self._flops_per_token = answer.prefix_tokens[-1], answer.flops_per_token
        opinion.tokens += prompt + answer.usage.policy_tokens
        if self._read == "logprob" and any(reply.logprob is None for reply in answer.items):
            self._fail(opinion, BackendError(_NO_LOGPROBS, provider="judge"))
            return
        read = score_by_answer if self._read == "answer" else score_by_logprob
        opinion.score = read(answer.items)
        if opinion.score is None and opinion.tries <= self._max_retries:
            self._ask(opinion)
            return
        if opinion.score is None:
            opinion.score = UNREADABLE
            self.counts["unreadable"] += 1
        for ticket in sorted(opinion.waiting):
            self._settle(ticket)
        opinion.waiting.clear()

    def _fail(self, opinion: _Opinion, error: BackendError) -> None:
        """Answer all that waits for a step with an error; another request asks about it anew."""
        del self._opinions[_key(opinion.prefix)]
        for ticket in sorted(opinion.waiting & self._open.keys()):
            del self._open[ticket]
            self._done.append((ticket, error))

    def _settle(self, ticket: int) -> None:
        """Answer a request if all its steps are rated.

        The tokens of each prefix are told as if they were one text, so that a search is charged for
        a step once (`run/accounting.py`).
        """
        opinions = self._open.get(ticket)
        if opinions is None:
            return
        scores = tuple(opinion.score for opinion in opinions if opinion.score is not None)
        if len(scores) < len(opinions):
            return
        del self._open[ticket]
        totals = tuple(itertools.accumulate((o.tokens for o in opinions), initial=0))
        flops = None if self._flops_per_token is None else self._flops_per_token * totals[-1]
        usage = Usage(reward_calls=1, reward_tokens=totals[-1], flops=flops)
        self._done.append((ticket, Answer(scores, usage, totals, self._flops_per_token)))


_NO_LOGPROBS = (
    "the judge's model tells no log-probabilities; use --reward judge, which reads what it answers"
)


def _prefixes(trajectory: Trajectory) -> list[Trajectory]:
    """Return the trajectory up to each of its steps."""
    steps = trajectory.steps
    return [Trajectory(trajectory.problem, steps[:end]) for end in range(1, len(steps) + 1)]


def _key(prefix: Trajectory) -> tuple[str, ...]:
    """Return what a question about a prefix is made of."""
    return prefix.problem.question, *(step.key for step in prefix.steps)
