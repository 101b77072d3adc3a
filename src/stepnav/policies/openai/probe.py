"""Asking a server, by a dozen tiny requests, what it really honours.

Many servers take a field and silently ignore it, so nothing is believed that was not seen: `n` must
return different samples, a seed must repeat its sample (alone and among others), a stop string
taken from the greedy text must end it, a chat must go on in the middle of its own greedy answer.
Where a probe cannot tell, the field counts as not honoured, for which there is always a fallback.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Literal

from stepnav.core.errors import BackendDown, BackendError
from stepnav.policies.openai.capabilities import Capabilities, Continuation
from stepnav.policies.openai.client import Client
from stepnav.policies.openai.exclusion import can_exclude
from stepnav.policies.openai.prompts import PromptOptions, chat, continuation, generation_config
from stepnav.policies.openai.protocol import Api, Choice, Reply

MAX_TOKENS = 16
TEMPERATURES = (1.5, 1.0)
"""High, so that two samples that are equal by chance are rare; some servers stop at 1."""

LOW_TEMPERATURE = 0.01
"""Instead of 0, where that is refused."""

QUESTIONS = (
    "Write a list of unusual words, one on each line.",
    "Tom has 3 apples and buys 4 more. How many apples does Tom have now?",
)


async def probe(client: Client, api: Api | Literal["auto"], options: PromptOptions) -> Capabilities:
    """Return what the server honours.

    Args:
      client: opened; learns which fields the server refuses.
      api: the endpoint; "auto" takes completions if the server has them for this model, for there
        any prefix can be continued, else chat.
      options: the prompt template is used, the rest is not.
    Raises:
      BackendError: the server cannot be reached, or answers no request at all.
    """
    client.is_probing = True
    try:
        return await _probe(client, api, options)
    finally:
        client.is_probing = False


async def _probe(
    client: Client, api: Api | Literal["auto"], options: PromptOptions
) -> Capabilities:
    if api != "auto":
        return await _Probe(client, api, options).run()
    try:
        return await _Probe(client, "completions", options).run()
    except BackendError as error:
        if error.status_code not in (400, 404, 405, 422, 501):
            raise
        return await _Probe(client, "chat", options).run()


def _with_models(client: Client, error: BackendError) -> BackendError:
    """Return the error with the models that the server has, if the model may be what is wrong."""
    names = client.models
    if error.status_code is None or not names or client.model in names:
        return error
    return BackendDown(
        f"{error}; its models are {', '.join(list(names)[:8])} (--policy-model)",
        provider=error.provider,
        status_code=error.status_code,
    )


@dataclass(slots=True)
class _Probe:
    """The questions put to one endpoint, in order; each may use what the earlier ones found."""

    client: Client
    api: Api
    options: PromptOptions
    question: str = ""
    greedy: str = ""
    zero: float = 0.0
    high: float = TEMPERATURES[0]
    first: Reply | None = None
    found: dict[str, Any] = field(default_factory=dict)

    async def run(self) -> Capabilities:
        """Return what was found."""
        try:
            await self._find_greedy()
        except BackendError as error:
            raise _with_models(self.client, error) from None
        await self._find_sampling()
        await self._find_n()
        await self._find_stop()
        await self._find_logprobs()
        self.found["excludes"] = False
        if self.found["logprobs"]:
            self.found["excludes"] = await can_exclude(self.api, self._try)
            self.client.refused.discard("logprobs")  # so long a list may be refused, one is not
        if self.api == "chat":
            await self._find_continuation()
        return Capabilities(
            api=self.api,
            refused=tuple(sorted(self.client.refused)),
            max_tokens_field=self.client.max_tokens_field,
            max_tokens_limit=self.client.max_tokens_limit,
            context_tokens=self.client.context_tokens,
            **self.found,
        )

    async def _ask(self, **fields: Any) -> Reply:
        """Return the reply to the probe question with further fields."""
        body: dict[str, Any] = {"max_tokens": MAX_TOKENS, "temperature": self.zero}
        shown = self.options.shown(self.question, self.api)
        if self.api == "completions":
            body["prompt"] = shown
        else:
            body["messages"] = chat(self.options.system_prompt, shown)
        return await self.client.generate(self.api, {**body, **fields}, 0)

    async def _try(self, **fields: Any) -> Choice | None:
        """Return the first choice, None if the server refuses the request as a whole."""
        try:
            return (await self._ask(**fields)).choices[0]
        except BackendError as error:
            if error.status_code is None:
                raise  # not an answer at all
            return None

    async def _find_greedy(self) -> None:
        """Find a question whose greedy text can show a stop, and read the token counts."""
        for question in QUESTIONS:
            self.question = question
            self.first = await self._ask()
            if "temperature" in self.client.refused and self.zero == 0:
                self.zero = LOW_TEMPERATURE
                self.client.refused.discard("temperature")
                self.first = await self._ask()
            self.greedy = self.first.choices[0].text
            if stop_string(self.greedy) is not None:
                break
        tokens = self.first.tokens if self.first else None
        self.found["usage"] = tokens is not None
        too_long = 6 * MAX_TOKENS * 4  # characters
        generated = tokens.generated if tokens is not None else 0
        self.found["max_tokens"] = generated <= MAX_TOKENS and len(self.greedy) < too_long

    async def _find_sampling(self) -> None:
        """Find how temperature and seed are honoured."""
        kind, texts = await self._differing_samples()
        if "temperature" not in self.client.refused:
            self.found["lowest_temperature"] = self.zero
        if len(set(texts)) == 1:
            self.found.update(temperature="ignored", seed="ignored")
            return
        self.found["temperature"] = "ignored" if "temperature" in self.client.refused else kind
        if texts[0] != texts[1] or "seed" in self.client.refused:
            self.found["seed"] = "ignored"
            return
        self.found["seed"] = "honoured"
        if self.client.options.max_concurrency > 1:
            again = await self._sample(kind, (1, 2, 1, 2), together=True)
            if again != [texts[0], texts[2], texts[0], texts[2]]:
                self.found["seed"] = "alone"

    async def _differing_samples(self) -> tuple[str, list[str]]:
        """Return how samples can be made to differ, and four of them; equal ones if by nothing."""
        kind, texts = "honoured", [""]
        for self.high in TEMPERATURES:
            self.client.refused.discard("temperature")
            for kind in ("honoured", "generation_config"):
                texts = await self._sample(kind, (1, 1, 2, 3))
                if len(set(texts)) > 1:
                    break
            if "temperature" not in self.client.refused and "" not in texts:
                break
        return kind, texts

    async def _sample(
        self, kind: str, seeds: tuple[int, ...], *, together: bool = False
    ) -> list[str]:
        """Return sampled texts; "" where the server refused."""
        fields = self._sampled(kind)
        if together:
            choices = list(await asyncio.gather(*(self._try(seed=s, **fields) for s in seeds)))
        else:
            choices = [await self._try(seed=seed, **fields) for seed in seeds]
        return ["" if choice is None else choice.text for choice in choices]

    def _sampled(self, kind: str | None = None) -> dict[str, Any]:
        """Return the fields that sample."""
        fields: dict[str, Any] = {"temperature": self.high, "top_p": 1.0}
        if (kind or self.found["temperature"]) == "generation_config":
            fields["generation_config"] = generation_config(self.high, 1.0, MAX_TOKENS)
        return fields

    async def _find_n(self) -> None:
        """Find whether one request returns several samples that differ."""
        self.found["n"] = False
        for seed in (1, 2):
            try:
                reply = await self._ask(n=2, seed=seed, **self._sampled())
            except BackendError as error:
                if error.status_code is None:
                    raise
                return
            if len(reply.choices) != 2:
                return
            if reply.choices[0].text != reply.choices[1].text:
                self.found["n"] = True
                return

    async def _find_stop(self) -> None:
        """Find what a stop string does, with one that the greedy text is known to reach."""
        stop = stop_string(self.greedy)
        choice = None if stop is None else await self._try(stop=[stop])
        if stop is None or choice is None or "stop" in self.client.refused:
            return
        self.found["stop"] = kind = stop_kind(choice.text, self.greedy, stop)
        self.found["names_stop"] = kind != "ignored" and choice.stopped_at == stop
        if kind != "removed":
            return
        for name in ("include_stop_str_in_output", "no_stop_trim"):
            kept = await self._try(stop=[stop], **{name: True})
            if kept is not None and name not in self.client.refused and kept.text.endswith(stop):
                self.found["keep_stop_field"] = name
                return

    async def _find_logprobs(self) -> None:
        """Find whether log-probabilities come back."""
        choice = await self._try(logprobs=1 if self.api == "completions" else True)
        self.found["logprobs"] = choice is not None and bool(choice.tokens)

    async def _find_continuation(self) -> None:
        """Find how a chat is continued in the middle of its own greedy answer."""
        self.found["continues"] = "no"
        cut = continuation_point(self.greedy)
        if cut is None:
            return
        prefix, rest = self.greedy[:cut], self.greedy[cut:]
        shown = self.options.shown(self.question, self.api)
        messages = chat(self.options.system_prompt, shown)
        ways: tuple[Continuation, ...] = ("continue_final_message", "prefix", "plain")
        for way in ways:
            choice = await self._try(**continuation(messages, prefix, way))
            if choice is None or not choice.text.strip():
                continue
            expected = rest.strip()[:8]
            if choice.text.strip().startswith(expected[: len(choice.text.strip())]):
                self.found["continues"] = way
                self.found["trims_prefix"] = choice.text[0].isspace() and not rest[0].isspace()
                return


def stop_string(greedy: str) -> str | None:
    """Return a character that first occurs within the text, if possible in its middle third."""
    firsts = [
        position
        for position, character in enumerate(greedy)
        if position >= 1 and not character.isspace() and greedy.find(character) == position
    ]
    middle = [position for position in firsts if position >= len(greedy) // 3]
    position = next((p for p in [*middle, *firsts] if p <= 2 * len(greedy) // 3), None)
    return None if position is None else greedy[position]


def stop_kind(text: str, greedy: str, stop: str) -> Literal["removed", "kept", "ignored"]:
    """Return what the server did with a stop string that the greedy text reaches."""
    if stop not in text:
        return "removed" if len(text) < len(greedy) else "ignored"
    return "kept" if len(text) < len(greedy) else "ignored"


def continuation_point(greedy: str) -> int | None:
    """Return where to cut the greedy text so that going on differs from beginning again."""
    line_end = greedy.find("\n", 1) + 1
    cuts = [line_end] if line_end > 0 else []
    cuts += [cut for cut in range(len(greedy) // 3, 2 * len(greedy) // 3) if greedy[cut] == " "]
    for cut in cuts:
        rest = greedy[cut:].strip()[:8]
        if cut > 0 and len(rest) >= 3 and not greedy.strip().startswith(rest):
            return cut
    return None
