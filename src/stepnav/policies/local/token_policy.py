"""What policies that read and write tokens share, whatever runs their model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stepnav.core.backend import Answer
from stepnav.core.errors import BackendError
from stepnav.core.requests import POLICY_REQUESTS, Ask, PolicyRequest, Propose, Request
from stepnav.engine.checkpoint.loading import context_length, num_parameters, special_tokens
from stepnav.engine.queue import Job, RowQueue
from stepnav.policies.local.prompt import PolicyFormat, PromptEncoder, StepCutter
from stepnav.policies.local.samples import Sample, StepWriter, answer_of, excludes
from stepnav.policies.remainder import Tries


class TokenPolicy(RowQueue[Sample]):
    """Makes samples of requests, and answers of finished samples.

    Args:
      runner: runs the samples.
      model: whose config, parameters and context count; weights are not looked at.
      tokenizer: the model's.
      format: prompt and step settings.
      max_step_tokens: limit of a proposed step whose request sets none.
      max_tokens: limit of a completion whose request sets none.

    Attributes:
      before_solutions: the mark that opens a thought, if prompts end with it.
    """

    def __init__(
        self,
        runner: Any,
        model: Any,
        tokenizer: Any,
        format: PolicyFormat,  # noqa: A002
        *,
        max_step_tokens: int,
        max_tokens: int,
    ) -> None:
        super().__init__(runner, "model")
        self.format = format
        self._max_step_tokens, self._max_tokens = max_step_tokens, max_tokens
        self._context = context_length(model)
        self.num_parameters = num_parameters(model)
        self._encoder = PromptEncoder(tokenizer, format)
        self._tries = Tries()
        self._cutter = StepCutter(tokenizer, format.separator, format.end_strings)
        self.before_solutions = self._encoder.before_solutions()
        self._writer = StepWriter(
            self._cutter,
            end_tokens(model, tokenizer),
            format.answer_pattern,
            self.before_solutions,
        )

    def token_bound(self, request: Request) -> int:
        """Return the most tokens that the request may generate."""
        assert isinstance(request, POLICY_REQUESTS), "a policy bounds policy requests only"
        return request.n * self._limit(request)

    def _limit(self, request: PolicyRequest) -> int:
        default = self._max_step_tokens if isinstance(request, Propose) else self._max_tokens
        limit = request.sampling.max_tokens
        return default if limit is None else max(1, limit)

    def _open(self, request: Request) -> Job[Sample]:
        if not isinstance(request, POLICY_REQUESTS):
            raise TypeError(f"a policy cannot answer {type(request).__name__}")
        if isinstance(request, Ask):
            tokens, totals = self._encoder.encode_messages(request.messages)
        else:
            tokens, totals = self._encoder.encode(request.prefix)
        context = self._context
        if not tokens or (context is not None and len(tokens) >= context):
            raise BackendError(
                f"the prompt has {len(tokens)} tokens, the model's context is {context}; "
                "it must leave room for at least one token",
                provider="local",
                status_code=400,
                code="context_length_exceeded",
            )
        limit = self._limit(request)
        if context is not None:
            limit = min(limit, context - len(tokens))
        samples: list[Sample] = []
        for _ in range(1 if excludes(request) else request.n):
            samples.append(self._begin_sample(request, tokens, limit, samples))
        return Job(samples, totals)

    def _begin_sample(
        self, request: PolicyRequest, prompt: Sequence[int], limit: int, before: Sequence[Sample]
    ) -> Sample:
        """Return a request's sample after those before, which continues a prompt's tokens."""
        sample = Sample.of(request, prompt, limit, self._tries, before)
        # where a greedy one leaves the known steps is seen only there
        if sample.drawing is not None and request.sampling.temperature:
            sample.depart()
        return sample

    def _following(self, job: Job[Sample]) -> Sample | None:
        last = job.rows[-1]
        # without a step nothing is left to draw, and the next one would find no more
        if not excludes(last.request) or not last.steps or len(job.rows) == last.request.n:
            return None
        prompt = last.tokens[: job.prefix_tokens[-1]]
        return self._begin_sample(last.request, prompt, last.limit, job.rows)

    def _answer(self, job: Job[Sample]) -> Answer:
        return answer_of(job, 2 * self.num_parameters)


def unwritable_tokens(model: Any, tokenizer: Any) -> list[int]:
    """Return the tokens that are no text: special ones that end nothing, and rows of padding.

    In a step they would be taken for marks by whatever reads its text.
    """
    size = model.config.get_text_config().vocab_size
    words = set(tokenizer.get_vocab().values()) - special_tokens(tokenizer)
    return sorted(frozenset(range(size)) - words - end_tokens(model, tokenizer))


def end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """Return all tokens that end a sequence, by the model's and the tokenizer's settings."""
    found: set[int] = set()
    generation = getattr(model, "generation_config", None)
    for value in (
        getattr(generation, "eos_token_id", None),
        getattr(model.config.get_text_config(), "eos_token_id", None),
        tokenizer.eos_token_id,
    ):
        found.update(
            value if isinstance(value, (list, tuple)) else [] if value is None else [value]
        )
    return frozenset(found)
