"""From a policy request to HTTP requests that this server honours, and back to an answer.

All that was generated is charged, what lies beyond a step's boundary included.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stepnav.core import records
from stepnav.core.backend import Answer
from stepnav.core.budget import Usage
from stepnav.core.errors import BackendError
from stepnav.core.records import Step, Trajectory
from stepnav.core.requests import Ask, Complete, PolicyRequest, Propose
from stepnav.policies.openai.capabilities import Capabilities
from stepnav.policies.openai.client import Client
from stepnav.policies.openai.exclusion import (
    Begun,
    in_order,
    is_end,
    known_places,
    new_steps,
    repetition,
)
from stepnav.policies.openai.prompts import PromptOptions, excludes, is_greedy, request_body
from stepnav.policies.openai.protocol import CostedChoice, Spending, estimated
from stepnav.policies.openai.reading import read_solution, read_step, text_logprob
from stepnav.policies.resampling import Known
from stepnav.policies.splitting import share_out
from stepnav.remote.queue import together

MAX_BLANK_ROUNDS = 4
"""How often a sample that stopped at a blank line is continued before it counts as the end."""


@dataclass(slots=True)
class Sampler:
    """Answers policy requests through one client."""

    client: Client
    found: Capabilities
    options: PromptOptions
    wants_logprobs: bool = False
    num_parameters: int | None = None

    def limit(self, request: PolicyRequest) -> int:
        """Return the token limit of each sample."""
        if request.sampling.max_tokens is not None:
            return max(1, request.sampling.max_tokens)
        options = self.client.options
        is_step = isinstance(request, Propose)
        return options.max_step_tokens if is_step else options.max_solution_tokens

    def num_draws(self, request: PolicyRequest) -> int:
        """Return how many samples are really drawn: greedy ones are all the same."""
        return 1 if is_greedy(request) else request.n

    async def answer(self, request: PolicyRequest) -> Answer:
        """Return the answer to a request.

        Raises:
          BackendError: it failed for good; carries the tokens that were generated for it.
        """
        spent = Spending()
        try:
            known = Known(request)
            items = await self._items(request, spent)
            if not known.is_independent:
                items = await self._new_items(request, items, known, spent)
            elif len(items) < request.n:
                items *= request.n
        except BackendError as error:
            error.failed_tokens = spent.whole.generated
            raise
        return Answer(tuple(items), self._usage(request, spent))

    async def _items(self, request: PolicyRequest, spent: Spending) -> list[Any]:
        if isinstance(request, Complete):
            return await self._complete(request, spent)
        if isinstance(request, Ask):
            return await self._reply(request, spent)
        return await self._propose(request, spent)

    async def _new_items(
        self, request: PolicyRequest, items: list[Any], known: Known, spent: Spending
    ) -> list[Any]:
        """Return those items that begin with a new step, then others, drawn instead of the rest.

        New ones come first, whatever their number, so that all are drawn as one after the other.
        """
        found: list[Any] = []
        missing: list[tuple[int, int]] = []  # number, and tokens that are left for it
        for index, item in enumerate(items):
            steps = new_steps(request, item)
            if steps and known.takes(steps[0], 0):
                found.append(item)
            else:
                left = self.limit(request) - sum(step.num_tokens for step in steps)
                missing.append((index, left))
        for index, left in missing:
            for again in range(1, known.max_draws):
                known_steps = [new_steps(request, item)[0] for item in found]
                own = repetition(request, index, again, left, known_steps)
                drawn = await self._items(own, spent) if left > 0 else ()
                if not drawn:
                    break  # nothing is left
                spent.repeated += 1
                steps = new_steps(request, drawn[0])
                left -= sum(step.num_tokens for step in steps)
                if steps and known.takes(steps[0], again):
                    found.append(drawn[0])
                    break
        return found

    async def _reply(self, request: Ask, spent: Spending) -> list[records.Reply]:
        samples = await self._draw(request, "", self.num_draws(request), self.limit(request), spent)
        return [
            records.Reply(
                sample.choice.text,
                "length" if sample.choice.finish == "length" else "end",
                sample.num_tokens,
                text_logprob(sample.choice, sample.choice.text),
            )
            for sample in samples
        ]

    async def _propose(self, request: Propose, spent: Spending) -> list[Step]:
        n, limit = self.num_draws(request), self.limit(request)
        is_exact, known = excludes(self.found, request), request.sampling.without or ()
        root = None
        if is_exact:
            root = known_places(() if is_greedy(request) else known, limit)
            if root.is_exhausted:
                return []
        begun = [Begun(request, index, root) for index in range(n)]
        samples: list[CostedChoice | None] = [None] * n
        if root is None or not root.following:
            samples = [*await self._draw(request, "", n, limit, spent)]
        drawn = await together(
            [self._step(request, spent, i, *pair) for i, pair in enumerate(zip(samples, begun))]
        )
        if not is_exact:
            return [step for step, _ in drawn]
        is_blank = self.found.api == "chat" and not request.prefix.text.strip()
        return in_order(request, limit, drawn, drops_blanks=is_blank)

    async def _step(
        self,
        request: Propose,
        spent: Spending,
        index: int,
        sample: CostedChoice | None,
        begun: Begun,
    ) -> tuple[Step, Begun]:
        """Return a step, continued from its sample, if it has one, until it is whole.

        It is not where it leaves known steps, nor while it holds nothing but blank lines.
        """
        cost = 0
        for blank_round in range(MAX_BLANK_ROUNDS + 1):
            is_departure, is_first = bool(begun.bias), not begun.text
            left = self.limit(request) - begun.num_known - cost
            if sample is None:
                (drawn,) = await self._draw(
                    request, begun.text, 1, 1 if is_departure else left, spent,
                    first_index=index, blank_round=blank_round, bias=begun.bias,
                )  # fmt: skip
            else:
                drawn, sample = sample, None
            choice, cost = drawn.choice, cost + drawn.num_tokens
            left = self.limit(request) - begun.num_known - cost
            text, finish = read_step(self.options, self.found, request.prefix, begun.text, choice)
            if finish == "length" and is_end(choice):
                finish = "end"
            if is_departure and finish == "length" and not choice.text and left > 0:
                begun = Begun(request, index, None)  # text does not go on in half a character
                continue
            begun.add(choice, text)
            is_whole = bool(text.strip()) or finish != "step"
            if left > 0 and is_departure and finish == "length":
                is_whole = False
            if is_whole or left <= 0:
                logprob = text_logprob(choice, text) if is_first else None
                step = Step(text, finish if is_whole else "length", cost, None, logprob)
                return step, begun
        return Step("", "end", cost), begun

    async def _complete(self, request: Complete, spent: Spending) -> list[Trajectory]:
        samples = await self._draw(request, "", self.num_draws(request), self.limit(request), spent)
        return [
            read_solution(
                self.options, self.found, request.prefix, sample.choice, sample.num_tokens
            )
            for sample in samples
        ]

    async def _draw(
        self,
        request: PolicyRequest,
        written: str,
        n: int,
        limit: int,
        spent: Spending,
        *,
        first_index: int = 0,
        blank_round: int = 0,
        bias: Mapping[str, int] | None = None,
    ) -> list[CostedChoice]:
        """Return `n` samples, by one request where `n` is honoured, else by several at once."""
        samples: list[CostedChoice] = []
        more = {"logit_bias": bias} if bias else {}
        if n > 1 and self.found.n:
            body = self._body(request, written, limit, first_index, blank_round) | more
            samples = await self._ask({**body, "n": n}, request, spent)
            samples = samples[:n]
        missing = range(first_index + len(samples), first_index + n)
        bodies = [self._body(request, written, limit, i, blank_round) | more for i in missing]
        replies = await together([self._ask(body, request, spent) for body in bodies])
        return samples + [reply[0] for reply in replies]

    async def _ask(
        self, body: dict[str, Any], request: PolicyRequest, spent: Spending
    ) -> list[CostedChoice]:
        """Return the samples of one HTTP request, and add their cost to `spent`."""
        reply = await self.client.generate(
            self.found.api, body, body.get("seed", request.seed or 0), spent
        )
        tokens = reply.tokens or estimated(body, reply)
        spent.tokens += tokens
        lengths = [len(choice.tokens or choice.text) for choice in reply.choices]
        shares = share_out(tokens.generated, lengths)
        return [CostedChoice(choice, share) for choice, share in zip(reply.choices, shares)]

    def _body(
        self, request: PolicyRequest, written: str, limit: int, index: int, blank_round: int
    ) -> dict[str, Any]:
        body = request_body(self.options, self.found, request, written, limit, index, blank_round)
        if self.wants_logprobs and self.found.logprobs:
            body.setdefault("logprobs", 1 if self.found.api == "completions" else True)
        return body

    def _usage(self, request: PolicyRequest, spent: Spending) -> Usage:
        tokens = spent.whole
        processed = tokens.prompt - tokens.cached + tokens.generated
        flops = None if self.num_parameters is None else 2 * self.num_parameters * processed
        return Usage(
            policy_calls=self.num_draws(request) + spent.repeated,
            policy_prompt_tokens=tokens.prompt,
            policy_cached_tokens=tokens.cached,
            policy_tokens=tokens.generated,
            failed_tokens=spent.failed.generated,
            flops=flops,
        )
