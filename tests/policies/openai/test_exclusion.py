"""Draws from what is left, by a server that goes on from text: exact beside the enumeration."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import httpx
import pytest
import torch

from stepnav.core.codec import decode_step, encode_step
from stepnav.core.records import Step, Trajectory
from stepnav.core.requests import Propose, Sampling
from stepnav.policies.openai.backend import OpenAIPolicy
from stepnav.policies.openai.capabilities import Capabilities, Continuation
from stepnav.policies.openai.protocol import Api, parse_reply
from stepnav.policies.remainder import trie_of
from stepnav.remote.options import ServerOptions
from tests.policies.openai.test_backend import ask
from tests.policies.test_remainder import LIMIT, ROOT, enumerated, letters

TEXTS = ("", "</s>", "a", "b", "c", "\n")
"""Of the tokens, as a server lists them."""

EXACT = Capabilities(
    n=True, stop="removed", keep_stop_field="include_stop_str_in_output", seed="honoured",
    logprobs=True, excludes=True,
)  # fmt: skip


@cache
def log_probs(tokens: tuple[int, ...], is_chat: bool) -> tuple[float, ...]:
    model, _ = letters()
    with torch.no_grad():
        logits = model(torch.tensor([tokens])).logits[0, -1].double()
    logits[0] = -torch.inf  # the beginning is no text
    if is_chat and tokens[-1] == 5:
        logits[5] = -torch.inf  # a chat does not go on from blank text
    return tuple(torch.log_softmax(logits, -1).tolist())


NOTHING = {"content": ""}


class Letters:
    """The small model behind vLLM's protocol, as far as drawing steps needs it."""

    def __init__(self) -> None:
        self.listed = 20
        self.is_end_cut = False
        self.bodies: list[dict[str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"data": [{"id": "letters"}]})
        body = json.loads(request.content)
        self.bodies.append(body)
        choices = [self._choice(body, index) for index in range(body.get("n", 1))]
        generated = sum(len(choice["token_ids"]) for choice in choices)
        usage = {"prompt_tokens": 9, "completion_tokens": generated}
        return httpx.Response(200, json={"choices": choices, "usage": usage})

    def _choice(self, body: dict[str, Any], index: int) -> dict[str, Any]:
        chance = random.Random(f"{body['seed']} {index}")
        _, tokenizer = letters()
        text = body.get("prompt") or "\n".join(
            m["content"] for m in [*body["messages"], NOTHING][:2]
        )
        prompt = (0, *tokenizer(text).input_ids)
        tokens, told, lists, finish = [], [], [], "length"
        while len(tokens) < body["max_tokens"]:
            logs = log_probs((*prompt, *tokens), "messages" in body)
            token = self._token(logs, body, chance)
            tokens.append(token)
            told.append(logs[token])
            order = sorted(range(1, len(logs)), key=lambda i: -logs[i])
            likely = {*order[: self.listed], token}
            lists.append({TEXTS[i]: max(logs[i], -9999.0) for i in likely})
            if token in (1, 5):
                is_cut = self.is_end_cut and token == 1 and len(tokens) == body["max_tokens"]
                finish = "length" if is_cut else "stop"
                break
        text = "".join(TEXTS[token] for token in tokens if token != 1)
        choice = {"index": index, "finish_reason": finish, "token_ids": tokens}
        texts = [TEXTS[token] for token in tokens]
        if "prompt" in body:
            logprobs = {"tokens": texts, "token_logprobs": told, "top_logprobs": lists}
            return {**choice, "text": text, "logprobs": logprobs}
        places = [[{"token": t, "logprob": v} for t, v in place.items()] for place in lists]
        content = [
            {"token": text, "logprob": logprob, "top_logprobs": place}
            for text, logprob, place in zip(texts, told, places)
        ]
        return {**choice, "message": {"content": text}, "logprobs": {"content": content}}

    def _token(self, logs: tuple[float, ...], body: dict[str, Any], chance: random.Random) -> int:
        biased = [log + body.get("logit_bias", {}).get(str(i), 0) for i, log in enumerate(logs)]
        if not body["temperature"]:
            return max(range(len(logs)), key=biased.__getitem__)
        highest = max(biased)
        weights = [math.exp((log - highest) / body["temperature"]) for log in biased]
        return chance.choices(range(len(logs)), weights)[0]


@pytest.fixture
def server() -> Letters:
    return Letters()


@pytest.fixture(params=["completions", "chat"])
def api(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def policy(server: Letters, api: Api) -> Iterator[OpenAIPolicy]:
    way: Continuation = "prompt" if api == "completions" else "continue_final_message"
    capabilities = replace(EXACT, api=api, continues=way)
    made = opened(server, capabilities, LIMIT)
    yield made
    made.close()


def opened(
    server: Letters, capabilities: Capabilities, limit: int, separator: str = "\n"
) -> OpenAIPolicy:
    return OpenAIPolicy(
        "http://letters", "letters", capabilities=capabilities, answer_pattern=None,
        separator=separator, server=ServerOptions(max_step_tokens=limit),
        prompt_template="{question}\n", transport=httpx.MockTransport(server),
    )  # fmt: skip


def draw(policy: OpenAIPolicy, *samplings: Sampling, n: int = 1) -> list[tuple[Step, ...]]:
    """Return what a request of each sampling draws, by its own seed."""
    requests = [Propose(ROOT, n, each, seed=seed) for seed, each in enumerate(samplings)]
    return [answer.items for answer in ask(policy, *requests)]


def tokens_of(step: Step) -> tuple[int, ...]:
    assert step.draw is not None
    return step.draw.tokens


@pytest.mark.parametrize("api", ["completions"])
@pytest.mark.parametrize(("temperature", "listed"), [(1.0, 20), (1.0, 2), (0.2, 20), (0.5, 3)])
def test_frequencies_are_those_of_the_enumeration(
    policy: OpenAIPolicy, server: Letters, temperature: float, listed: int
) -> None:
    server.listed = listed
    (steps,) = draw(policy, Sampling(temperature, without=()), n=3)
    taken = set(map(tokens_of, steps))
    known = enumerated(temperature, 1.0)
    left = {tokens: mass for tokens, mass in known.items() if tokens not in taken}
    num = 1000
    found = draw(policy, *[Sampling(temperature, without=steps)] * num)
    drawn = Counter(tokens_of(item) for items in found for item in items)
    assert drawn.total() == num
    assert not taken & set(drawn)
    for tokens, mass in left.items():
        mean = num * mass / sum(left.values())
        assert abs(drawn[tokens] - mean) < 4.5 * math.sqrt(mean) + 4


@pytest.mark.parametrize("api", ["completions"])
def test_the_probability_of_a_draw_is_that_of_the_enumeration(policy: OpenAIPolicy) -> None:
    known = enumerated(0.5, 1.0)
    steps: tuple[Step, ...] = ()
    for _ in range(8):
        ((step,),) = draw(policy, Sampling(0.5, without=steps))
        assert step.draw is not None
        tokens = step.draw.tokens
        assert math.exp(sum(step.draw.logprobs)) == pytest.approx(known[tokens], rel=1e-3)
        assert step.logprob == pytest.approx(math.log(enumerated(1.0, 1.0)[tokens]), rel=1e-3)
        assert decode_step(json.loads(json.dumps(encode_step(step)))) == step
        steps += (step,)
    assert len(set(map(tokens_of, steps))) == 8


@pytest.mark.parametrize("api", ["completions"])
@pytest.mark.parametrize("seed", range(4))
def test_samples_of_one_request_know_each_other(policy: OpenAIPolicy, seed: int) -> None:
    known = enumerated(1.0, 1.0)
    (answer,) = ask(policy, Propose(ROOT, 3, Sampling(1.0, without=()), seed=seed))
    steps = answer.items
    (answer,) = ask(policy, Propose(ROOT, 3, Sampling(1.0, without=steps), seed=seed))
    steps += answer.items
    taken = set(map(tokens_of, steps))
    assert len(taken) == len(steps) >= 5
    left = 1 - sum(known[tokens] for tokens in taken)
    assert math.exp(trie_of(steps, LIMIT).left) == pytest.approx(left, rel=1e-5)


def test_an_end_that_is_called_a_cut_is_an_end(policy: OpenAIPolicy, server: Letters) -> None:
    """vLLM before 0.12 looks at the limit first."""
    server.is_end_cut = True
    drawn: tuple[Step, ...] = ()
    for seed in range(40):
        (answer,) = ask(policy, Propose(ROOT, 1, Sampling(1.0, without=drawn), seed=seed))
        drawn += answer.items
    assert len(drawn) == 40
    assert not any("</s>" in step.text for step in drawn)
    assert all(1 not in tokens_of(step)[:-1] for step in drawn)
    assert all(step.finish == "end" for step in drawn if tokens_of(step)[-1] == 1)


def test_what_lies_beyond_a_boundary_is_not_told(server: Letters) -> None:
    """The server does not see the half of it that stands in the prompt."""
    made = opened(server, EXACT, 8, "bb")
    drawn: tuple[Step, ...] = ()
    for seed in range(60):
        (answer,) = ask(made, Propose(ROOT, 1, Sampling(1.0, without=drawn), seed=seed))
        drawn += answer.items
    made.close()
    assert any(step.finish == "step" for step in drawn)
    for step in drawn:
        told = "".join(text for text, _ in step.draw.told or ()) if step.draw else step.text
        assert told.removesuffix("</s>") == step.text


def test_what_is_known_costs_nothing(policy: OpenAIPolicy, server: Letters) -> None:
    steps: tuple[Step, ...] = ()
    costs = []
    for seed in range(12):
        server.bodies.clear()
        request = Propose(ROOT, 1, Sampling(0.5, without=steps), seed=seed)
        (answer,) = ask(policy, request)
        (step,) = answer.items
        costs.append((step.num_tokens, len(step.draw.tokens) if step.draw else 0))
        assert answer.usage.policy_tokens >= step.num_tokens
        biased = [body for body in server.bodies if "logit_bias" in body]
        assert all(body["max_tokens"] == 1 for body in biased)
        assert bool(biased) == bool(steps)
        steps += (step,)
    assert any(cost < length for cost, length in costs)
    assert all(0 < cost <= length <= LIMIT for cost, length in costs)


@pytest.mark.parametrize("api", ["completions"])
def test_a_greedy_draw_counts_under_the_later_temperature(policy: OpenAIPolicy) -> None:
    known = enumerated(0.2, 1.0)
    greedy = Sampling(0.0, without=(), later_temperature=0.2)
    ((step,),) = draw(policy, greedy)
    assert step.draw is not None
    assert step.draw.tokens == max(known, key=known.__getitem__)
    assert math.exp(sum(step.draw.logprobs)) == pytest.approx(known[step.draw.tokens], rel=1e-3)


def test_where_nothing_is_left_nothing_is_asked(policy: OpenAIPolicy, server: Letters) -> None:
    ((step,),) = draw(policy, Sampling(1.0, without=()))
    assert step.draw is not None
    certain = replace(step.draw, rests=(-math.inf,) * len(step.draw.tokens))
    server.bodies.clear()
    sampling = Sampling(1.0, without=(replace(step, draw=certain),))
    assert draw(policy, sampling, n=2) == [()]
    assert not server.bodies


def test_parts_of_characters_are_left_to_drawing_again(
    policy: OpenAIPolicy, server: Letters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token's text that is not to be seen in the step's: where it was left cannot be told."""
    choice = Letters._choice

    def with_parts(self: Letters, body: dict[str, Any], index: int) -> dict[str, Any]:
        made = choice(self, body, index)
        for item in made["logprobs"].get("content", ()):
            item["token"] = "\ufffd"
        made["logprobs"]["tokens"] = ["\ufffd" for _ in made["token_ids"]]
        return made

    monkeypatch.setattr(Letters, "_choice", with_parts)
    ((step,),) = draw(policy, Sampling(1.0, without=()))
    assert step.draw is None
    server.bodies.clear()
    for other in draw(policy, *[Sampling(1.0, without=(step,))] * 20):
        assert all((item.key, item.is_cut) != (step.key, step.is_cut) for item in other)
    assert not any("logit_bias" in body for body in server.bodies)


@pytest.mark.parametrize(
    "logprobs",
    [
        [], "x", None, {}, {"top_logprobs": 3}, {"top_logprobs": [None]},
        {"top_logprobs": [{"a": None}]}, {"content": None},
    ],
)  # fmt: skip
@pytest.mark.parametrize("ids", [None, 3, ["a"], "ab"])
def test_what_cannot_be_read_tells_nothing(logprobs: Any, ids: Any) -> None:
    choice = {"text": "a", "finish_reason": "stop", "logprobs": logprobs, "token_ids": ids}
    (read,) = parse_reply("completions", {"choices": [choice]}).choices
    assert (read.text, read.ids, read.listed, read.tokens) == ("a", (), (), None)


def test_above_temperature_1_known_steps_are_drawn_again(
    policy: OpenAIPolicy, server: Letters
) -> None:
    ((step,),) = draw(policy, Sampling(1.5, without=()))
    assert step.draw is None
    draw(policy, *[Sampling(1.5, without=(step,))] * 20)
    assert not any("logit_bias" in body for body in server.bodies)


@pytest.mark.parametrize("value", [1000.0, math.inf, math.nan])
def test_what_is_no_log_probability_tells_nothing(value: float) -> None:
    told = {"tokens": ["a"], "token_logprobs": [value], "top_logprobs": [{"a": value}]}
    choice = {"text": "a", "finish_reason": "stop", "logprobs": told, "token_ids": [1]}
    (read,) = parse_reply("completions", {"choices": [choice]}).choices
    assert (read.listed, read.tokens) == ((), None)


def test_under_top_p_known_steps_are_drawn_again(policy: OpenAIPolicy, server: Letters) -> None:
    ((step,),) = draw(policy, Sampling(1.0, top_p=0.9, without=()))
    assert step.draw is None
    draw(policy, *[Sampling(1.0, top_p=0.9, without=(step,))] * 20)
    assert not any("logit_bias" in body for body in server.bodies)


def test_after_a_prefix(policy: OpenAIPolicy) -> None:
    ((first,),) = draw(policy, Sampling(1.0, without=()))
    prefix = Trajectory(ROOT.problem, (replace(first, text="ab\n", finish="step"),))
    drawn: tuple[Step, ...] = ()
    for seed in range(6):
        (answer,) = ask(policy, Propose(prefix, 1, Sampling(0.5, without=drawn), seed=seed))
        drawn += answer.items
    assert len(set(map(tokens_of, drawn))) == len(drawn) == 6
