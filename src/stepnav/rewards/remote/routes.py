"""Where servers give the outputs that a family's scores are read from, and how they are asked.

Token ids are sent wherever a server takes them, so that it reads what the model was trained on.
Formats: vLLM 0.32 (`/pooling`, `/classify`, `/generative_scoring`, `/v1/completions` with
`logprob_token_ids`), SGLang (`/generate`), and llama-server (`/v1/completions` with `logprobs`).
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

from stepnav.core.errors import BackendError, BadResponse, quote
from stepnav.remote.body import PROVIDER, as_text, in_order
from stepnav.remote.connection import Connection
from stepnav.remote.queue import together
from stepnav.rewards.local.step_reader import ClassProbs, PairProbs, Probs, Read
from stepnav.rewards.remote.label_logprobs import Label, label_logprobs

Asked = Sequence["tuple[list[int], tuple[int, ...]]"]
"""Rows of tokens, and the positions in each at which an output is read."""

MOST_LISTED = 20
"""How many likely tokens are asked for: as many as vLLM lists unless it is told otherwise."""


@dataclass
class Source:
    """A server's reward model, as its family reads it.

    Attributes:
      connection: to the server.
      tokenizer: the model's.
      read: makes probabilities of outputs.
      is_trial: whether a route is only tried, so that what fails is not asked again.
      words: a copy of the tokenizer, which is used in the connection's thread.
    """

    connection: Connection
    tokenizer: Any
    read: Read
    is_trial: bool = True
    words: Any = field(init=False)
    _numbers: Iterator[int] = field(init=False, default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.words = copy.deepcopy(self.tokenizer)

    async def post(self, path: str, **fields: Any) -> Any:
        """Return what the server answers; a path that begins with "/" is its root's.

        Each request is tried again by itself, so that what was answered beside it stays.

        Raises:
          BackendError: it failed for good.
          HttpFailure: it failed in a trial.
        """
        connection = self.connection
        if path.startswith("/"):
            path = connection.base_url.removesuffix("/v1") + path
        body = {"model": connection.model, **fields}

        async def once() -> Any:
            return await connection.post(path, body)

        if self.is_trial:
            return await once()
        return await connection.retried(once, next(self._numbers))

    @cached_property
    def labels(self) -> tuple[Label, Label]:
        """The good and the bad label."""
        return Label.of(self.words, self.pair.good), Label.of(self.words, self.pair.bad)

    @property
    def num_outputs(self) -> int:
        """How many outputs there are at a position."""
        return len(self.read.labels) if isinstance(self.read, ClassProbs) else 1

    @property
    def pair(self) -> PairProbs:
        """What reads a good and a bad label."""
        assert isinstance(self.read, PairProbs), "only a family with labels is read by them"
        return self.read

    @property
    def label_ids(self) -> list[int]:
        """The tokens of the good and the bad label."""
        return [self.pair.good, self.pair.bad]

    def of_outputs(self, outputs: Sequence[Sequence[float]]) -> list[Probs]:
        """Return the probabilities of outputs [N, C]."""
        import torch

        return self.read(torch.tensor(outputs, dtype=torch.float64))

    def of_labels(self, pairs: Sequence[tuple[float, float]]) -> list[Probs]:
        """Return the probabilities of the log-probabilities of a good and a bad label."""
        import torch

        read = replace(self.pair, good=0, bad=1)
        return read(torch.tensor(pairs, dtype=torch.float64))


async def pooling(source: Source, asked: Asked) -> list[list[Probs]]:
    """Return what `/pooling` gives: outputs at every token, or at every step's mark alone."""
    payload = await source.post(
        "/pooling", input=[tokens for tokens, _ in asked], use_activation=False
    )
    found = []
    for (tokens, positions), item in zip(asked, _items(payload, len(asked))):
        rows = item.get("data")
        marks = [at for at, token in enumerate(tokens) if token == tokens[positions[-1]]]
        places = {len(tokens): list(range(len(tokens))), len(marks): marks}
        if not isinstance(rows, list) or len(rows) not in places:
            given = len(rows) if isinstance(rows, list) else "no"
            raise _unusable(f"{given} outputs for {len(tokens)} tokens, {len(marks)} of them marks")
        place = places[len(rows)]
        outputs = [_numbers(rows[place.index(at)], source.num_outputs) for at in positions]
        found.append(source.of_outputs(outputs))
    return found


async def classify(source: Source, asked: Asked) -> list[list[Probs]]:
    """Return what `/classify` gives: the output at the end of each text."""
    texts = [tokens[: position + 1] for tokens, (position,) in asked]
    payload = await source.post("/classify", input=texts, use_activation=False)
    items = _items(payload, len(asked))
    return [source.of_outputs([_numbers(item.get("probs"), source.num_outputs)]) for item in items]


async def generative_scoring(source: Source, asked: Asked) -> list[list[Probs]]:
    """Return what `/generative_scoring` gives: the good label's probability of the two."""

    async def row(tokens: list[int], positions: tuple[int, ...]) -> list[Probs]:
        start = positions[0]  # what all prefixes begin with, but for a token each must have
        payload = await source.post(
            "/generative_scoring",
            query=tokens[:start],
            items=[tokens[start : at + 1] for at in positions],
            label_token_ids=source.label_ids,
            apply_softmax=True,
            add_special_tokens=False,
        )
        items = _items(payload, len(positions))
        right = [_numbers([item.get("score")], 1)[0] for item in items]
        return source.of_labels([(_log(prob), _log(1 - prob)) for prob in right])

    return await together(row(*item) for item in asked)


async def generate(source: Source, asked: Asked) -> list[list[Probs]]:
    """Return what SGLang's own `/generate` gives: the log-probabilities of the two labels."""

    async def row(tokens: list[int], positions: tuple[int, ...]) -> list[Probs]:
        texts = [tokens[: at + 1] for at in positions]
        payload = await source.post(
            "/generate",
            input_ids=texts,
            sampling_params={"max_new_tokens": 1, "temperature": 0},
            return_logprob=True,
            token_ids_logprob=[source.label_ids] * len(texts),
        )
        return source.of_labels(_generated(payload, source.label_ids, texts))

    return await together(row(*item) for item in asked)


async def completions(
    source: Source, asked: Asked, *, by_label: bool = False, as_ids: bool = True
) -> list[list[Probs]]:
    """Return what completions give: the two labels' log-probabilities, told by name or listed.

    Args:
      source, asked: as of any route.
      by_label: ask for the labels, as vLLM can be; else they must be among the likely tokens.
      as_ids: send tokens; else text, which must be tokenised there as it is here.
    """
    pair = {"logprob_token_ids": source.label_ids, "return_tokens_as_token_ids": True}
    fields = pair if by_label else {}

    async def position(ids: list[int]) -> tuple[float, float]:
        payload = await source.post(
            "completions",
            prompt=ids if as_ids else _text(source.words, ids),
            max_tokens=1,
            temperature=1.0,
            logprobs=MOST_LISTED,
            **fields,
        )
        _check_count(payload, len(ids))
        return label_logprobs(payload, *source.labels)

    async def row(tokens: list[int], positions: tuple[int, ...]) -> list[Probs]:
        calls = (position(tokens[: at + 1]) for at in positions)
        return source.of_labels(await together(calls))

    return await together(row(*item) for item in asked)


Route = Callable[[Source, Asked], Awaitable["list[list[Probs]]"]]

ROUTES: Mapping[str, Mapping[str, Route]] = {
    "tokens": {"POST /pooling": pooling},
    "texts": {"POST /classify": classify},
    "labels": {
        "POST /generative_scoring": generative_scoring,
        "POST /generate": generate,
        "POST /v1/completions by label": partial(completions, by_label=True),
        "POST /v1/completions of tokens": completions,
        "POST /v1/completions of text": partial(completions, as_ids=False),
    },
}
"""What a family needs (`Family.served`) -> the routes that give it, best first."""


def _generated(
    payload: Any, labels: list[int], texts: list[list[int]]
) -> list[tuple[float, float]]:
    """Return the log-probabilities of the two labels after each text, from SGLang's answers."""
    try:
        metas = [item["meta_info"] for item in payload]
        counts = [meta["prompt_tokens"] for meta in metas]
        listed = [meta["output_token_ids_logprobs"][0] for meta in metas]
        found = [{token: float(logprob) for logprob, token, *_ in items} for items in listed]
        if counts != [len(ids) for ids in texts]:
            raise ValueError(f"it read {counts} tokens")
        return [(items[labels[0]], items[labels[1]]) for items in found]
    except (LookupError, TypeError, ValueError) as error:
        raise _unusable(f"{error} ({quote(as_text(payload))})") from None


def _text(tokenizer: Any, ids: list[int]) -> str:
    """Return the text that a server tokenises to these tokens.

    Raises:
      BackendError: there is none.
    """
    begins = bool(ids) and ids[0] == tokenizer.bos_token_id
    text: str = tokenizer.decode(ids[1:] if begins else ids)
    if tokenizer.encode(text, add_special_tokens=False) != (ids[1:] if begins else ids):
        raise BackendError(
            f"the server takes text only, and {quote(text[-80:])} is tokenised otherwise than its "
            "steps are; use a server that takes token ids",
            provider=PROVIDER,
        )
    return text


def _check_count(payload: Any, count: int) -> None:
    """Refuse an answer to another number of tokens than were meant; it may tell none."""
    usage = payload.get("usage") if isinstance(payload, Mapping) else None
    read = usage.get("prompt_tokens") if isinstance(usage, Mapping) else None
    if read is not None and read != count:
        raise _unusable(f"it read {as_text(read)} tokens where there are {count}")


def _items(payload: Any, count: int) -> list[Mapping[str, Any]]:
    """Return the items of an answer, one for each input, in the order of these."""
    items = payload.get("data") if isinstance(payload, Mapping) else None
    if isinstance(items, list) and all(isinstance(item, Mapping) for item in items):
        items = in_order(items)
        if [item.get("index") for item in items] == list(range(count)):
            return items
    raise _unusable(f"no list of {count} results in {quote(as_text(payload))}")


def _numbers(values: Any, count: int) -> list[float]:
    """Return a list of so many numbers, as it was sent."""
    is_list = isinstance(values, list) and len(values) == count
    if not is_list or not all(isinstance(value, (int, float)) for value in values):
        given = f"{len(values)} values" if isinstance(values, list) else quote(as_text(values))
        raise _unusable(f"{given} where the model's config says {count}")
    return [float(value) for value in values]


def _log(probability: float) -> float:
    return math.log(probability) if probability > 0 else -math.inf


def _unusable(why: str) -> BadResponse:
    return BadResponse(f"cannot use the reward server's answer: {why}", provider=PROVIDER)
