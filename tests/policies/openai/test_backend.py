"""Steps, completions and their cost through servers that honour more or less."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from stepnav.core.backend import Answer
from stepnav.core.errors import BackendError, BadResponse, ConfigError
from stepnav.core.records import Message, Problem, Step, Trajectory
from stepnav.core.requests import Complete, Propose, Request, Sampling, Score
from stepnav.policies.openai.backend import OpenAIPolicy
from stepnav.policies.openai.capabilities import Capabilities
from stepnav.policies.openai.prompts import PromptOptions, server_seed
from stepnav.policies.openai.protocol import Choice, parse_reply
from stepnav.policies.openai.reading import read_solution, read_step
from stepnav.remote.connection import with_version
from tests.forks import is_true_in_fork
from tests.policies.openai.fake_server import (
    ALL_HONOURED,
    LOGPROB,
    Behaviour,
    FakeOpenAI,
    open_policy,
    words,
)

QUESTION = Trajectory(Problem("p", "How many?"))
SOLUTION = "Step 1: 3 + 4 = 7\nStep 2: 7 - 2 = 5\n#### 5"
FIXED = replace(ALL_HONOURED, solution=SOLUTION)


@contextmanager
def policy(behaviour: Behaviour, **options: Any) -> Iterator[tuple[OpenAIPolicy, FakeOpenAI]]:
    options = {"backoff_s": 0.001, **options}
    with FakeOpenAI(behaviour) as server:
        made = open_policy(server.url, "fake", **options)
        server.bodies.clear()
        try:
            yield made, server
        finally:
            made.close()


def ask(backend: OpenAIPolicy, *requests: Request) -> list[Answer]:
    for ticket, request in enumerate(requests):
        backend.submit(ticket, request)
    found: dict[int, Answer] = {}
    while len(found) < len(requests):
        for ticket, answer in backend.poll(10):
            assert isinstance(answer, Answer), answer
            found[ticket] = answer
    return [found[ticket] for ticket in range(len(requests))]


def ask_one(backend: OpenAIPolicy, request: Request) -> Answer | BackendError:
    backend.submit(99, request)
    while not (ready := backend.poll(10)):
        pass
    ((ticket, answer),) = ready
    assert ticket == 99
    return answer


def solve(backend: OpenAIPolicy, limit: int = 8) -> Trajectory:
    """Go on greedily, step by step, until the solution ends."""
    prefix = QUESTION
    while not prefix.is_finished and len(prefix.steps) < limit:
        (answer,) = ask(backend, Propose(prefix, 1, Sampling(0.0)))
        prefix = prefix.extend(answer.items[0])
    return prefix


STOPS = [
    {"stop": "removed"},
    {"stop": "removed", "names_stop": True},
    {"stop": "removed", "keep_stop_field": "include_stop_str_in_output"},
    {"stop": "kept"},
    {"stop": "ignored"},
]


@pytest.mark.parametrize("api", ["completions", "chat"])
@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: "-".join(map(str, stop.values())))
@pytest.mark.parametrize("n", ["honoured", "ignored"])
def test_steps_are_the_same_whatever_the_server_does_with_stop(
    api: str, stop: dict[str, Any], n: str
) -> None:
    with policy(replace(FIXED, n=n, **stop), api=api) as (backend, _):
        found = solve(backend)
    assert [step.text for step in found.steps] == SOLUTION.splitlines(keepends=True)
    assert [step.finish for step in found.steps] == ["step", "step", "end"]


@pytest.mark.parametrize("way", ["prefix", "plain", "no"])
@pytest.mark.parametrize("trims", [False, True])
@pytest.mark.parametrize("repeats", [False, True])
def test_steps_are_the_same_however_a_chat_is_continued(
    way: str, trims: bool, repeats: bool
) -> None:
    behaviour = replace(FIXED, continues=way, trims_prefix=trims, repeats_when_asked=repeats)
    with policy(behaviour, api="chat") as (backend, _):
        found = solve(backend)
    assert [step.key for step in found.steps] == SOLUTION.splitlines()
    assert found.is_finished


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: "-".join(map(str, stop.values())))
def test_an_end_without_an_answer_is_seen_where_the_server_tells_it(stop: dict[str, Any]) -> None:
    behaviour = replace(ALL_HONOURED, solution="One.\nTwo.\nso 5", **stop)
    with policy(behaviour) as (backend, _):
        found = solve(backend)
    assert found.is_finished
    is_exact = backend.capabilities.is_stop_exact
    assert len(found.steps) == 3 if is_exact else len(found.steps) > 3
    assert found.text.rstrip("\n") == "One.\nTwo.\nso 5"


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: "-".join(map(str, stop.values())))
def test_blank_lines_belong_to_the_next_step(stop: dict[str, Any]) -> None:
    behaviour = replace(ALL_HONOURED, solution="One.\n\n\nTwo.\n\n#### 2", **stop)
    with policy(behaviour) as (backend, _):
        found = solve(backend)
    assert [step.text for step in found.steps] == ["One.\n", "\n\nTwo.\n", "\n#### 2"]
    assert sum(step.num_tokens for step in found.steps) >= len(words(found.text))


def test_tokens_beyond_the_boundary_are_charged() -> None:
    request = Propose(QUESTION, 1, Sampling(0.0))
    with policy(replace(FIXED, stop="removed")) as (backend, _):
        exact = ask(backend, request)[0]
    with policy(replace(FIXED, stop="ignored")) as (backend, _):
        beyond = ask(backend, request)[0]
    step = SOLUTION.splitlines(keepends=True)[0]
    assert exact.usage.policy_tokens == exact.items[0].num_tokens == len(words(step))
    assert beyond.items[0].text == exact.items[0].text
    assert beyond.usage.policy_tokens == beyond.items[0].num_tokens == len(words(SOLUTION))


def test_usage_is_the_servers() -> None:
    with policy(replace(FIXED, cached=2), num_parameters=1000) as (backend, _):
        usage = ask(backend, Propose(QUESTION, 1, Sampling(0.0)))[0].usage
    assert usage.policy_calls == 1
    assert usage.policy_prompt_tokens == len(words("How many?"))
    assert usage.policy_cached_tokens == 2
    assert usage.flops == 2 * 1000 * (usage.policy_prompt_tokens - 2 + usage.policy_tokens)


def test_unknown_size_is_unknown_flops() -> None:
    with policy(FIXED) as (backend, _):
        assert ask(backend, Propose(QUESTION, 1, Sampling(0.0)))[0].usage.flops is None


def test_a_server_that_counts_nothing_is_charged_by_length() -> None:
    with policy(replace(FIXED, usage=False)) as (backend, _):
        (answer,) = ask(backend, Complete(QUESTION, 1, Sampling(0.0)))
    assert answer.usage.policy_tokens == -(-len(SOLUTION) // 4)


@pytest.mark.parametrize("n", ["honoured", "ignored"])
def test_samples_differ_and_the_seed_repeats_them(n: str) -> None:
    request = Propose(QUESTION, 4, Sampling(1.0), seed=7)
    with policy(replace(ALL_HONOURED, n=n)) as (backend, server):
        first, again, other = ask(backend, request, request, replace(request, seed=8))
        bodies = server.bodies
    texts = [step.text for step in first.items]
    assert len(set(texts)) == 4
    assert first.items == again.items
    assert first.items != other.items
    assert first.usage.policy_calls == 4
    assert first.usage.policy_tokens == sum(step.num_tokens for step in first.items)
    if n == "ignored":
        assert {body["seed"] for body in bodies} == {
            server_seed(seed, index) for seed in (7, 8) for index in range(4)
        }
    else:
        assert [body["n"] for body in bodies] == [4, 4, 4]
    assert all(0 <= body["seed"] < 2**31 for body in bodies)


def test_greedy_samples_are_drawn_once() -> None:
    with policy(FIXED) as (backend, server):
        (answer,) = ask(backend, Propose(QUESTION, 3, Sampling(0.0, max_tokens=50)))
        assert backend.token_bound(Propose(QUESTION, 3, Sampling(0.0, max_tokens=50))) == 50
        assert backend.token_bound(Propose(QUESTION, 3, Sampling(1.0, max_tokens=50))) == 150
    assert len(answer.items) == 3
    assert len(set(answer.items)) == 1
    assert answer.usage.policy_calls == len(server.bodies) == 1


def test_completions_begin_with_the_prefix_and_end() -> None:
    prefix = QUESTION.extend(Step("Step 1: 3 + 4 = 7\n"))
    with policy(FIXED) as (backend, _):
        (answer,) = ask(backend, Complete(prefix, 2, Sampling(1.0), seed=1))
    for item in answer.items:
        assert item.steps[:1] == prefix.steps
        assert item.text == SOLUTION
        assert item.is_finished
        assert [step.finish for step in item.steps] == ["step", "step", "end"]
    assert answer.usage.policy_tokens == sum(
        step.num_tokens for item in answer.items for step in item.steps[1:]
    )


def test_a_completion_is_cut_at_the_token_limit() -> None:
    with policy(FIXED) as (backend, _):
        (answer,) = ask(backend, Complete(QUESTION, 1, Sampling(0.0, max_tokens=9)))
        (step,) = ask(backend, Propose(QUESTION, 1, Sampling(0.0, max_tokens=3)))[0].items
    assert not answer.items[0].is_finished
    assert answer.items[0].steps[-1].finish == "length"
    assert (step.text, step.finish, step.num_tokens) == ("Step 1: 3 ", "length", 3)


@pytest.mark.parametrize("stop", ["removed", "kept", "ignored"])
def test_what_follows_the_solution_is_cut_off(stop: str) -> None:
    run_on = replace(FIXED, solution=SOLUTION + "\n\nQuestion: next?\n", stop=stop)
    with policy(run_on, end_strings=("\n\nQuestion:",)) as (backend, _):
        (answer,) = ask(backend, Complete(QUESTION, 1, Sampling(0.0)))
        found = solve(backend)
    assert answer.items[0].text == SOLUTION
    assert answer.items[0].is_finished
    assert found.text.rstrip() == SOLUTION
    assert len(found.steps) == 3


def test_an_end_string_counts_without_a_marker() -> None:
    behaviour = replace(ALL_HONOURED, solution="so 5 END and more", names_stop=True)
    with policy(behaviour, end_strings=(" END",)) as (backend, _):
        (step,) = ask(backend, Propose(QUESTION, 1, Sampling(0.0)))[0].items
    assert (step.text, step.finish) == ("so 5", "end")


def test_logprobs_of_a_step_leave_out_what_lies_beyond() -> None:
    with policy(replace(FIXED, stop="ignored"), wants_logprobs=True) as (backend, _):
        (step,) = ask(backend, Propose(QUESTION, 1, Sampling(0.0)))[0].items
    assert step.logprob == pytest.approx(LOGPROB * len(words(step.text)))


@pytest.mark.parametrize("api", ["completions", "chat"])
def test_logprobs_are_asked_for_in_the_way_of_the_api(api: str) -> None:
    with policy(FIXED, wants_logprobs=True, api=api) as (backend, server):
        (step,) = ask(backend, Propose(QUESTION, 1, Sampling(0.0)))[0].items
    assert step.logprob is not None
    assert server.bodies[0]["logprobs"] == (1 if api == "completions" else True)


def test_tokens_of_failed_samples_are_told() -> None:
    with policy(replace(FIXED, n="ignored"), max_concurrency=1) as (backend, server):
        good = {"choices": [{"text": "a\n"}], "usage": {"prompt_tokens": 1, "completion_tokens": 7}}
        server.failures += [(200, {}, json.dumps(good)), (200, {}, "rubbish")]
        answer = ask_one(backend, Propose(QUESTION, 2, Sampling(1.0), seed=1))
    assert isinstance(answer, BadResponse)
    assert answer.failed_tokens == 7


def test_templates_and_system_prompt_are_sent() -> None:
    options = {"prompt_template": "Q: {question}\nA:", "system_prompt": "Be brief."}
    with policy(FIXED, api="chat", **options) as (backend, server):
        ask(backend, Propose(QUESTION, 1, Sampling(0.0)))
    assert server.bodies[0]["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Q: How many?\nA:"},
    ]


def test_a_chat_has_a_template_of_its_own() -> None:
    for api, shown in (("completions", "How many?\n"), ("chat", "Think. How many?")):
        with policy(FIXED, api=api, chat_template="Think. {question}") as (backend, server):
            ask(backend, Propose(QUESTION, 1, Sampling(0.0)))
        body = server.bodies[0]
        assert (body.get("prompt") or body["messages"][0]["content"]) == shown


def test_generation_config_carries_the_temperature() -> None:
    behaviour = replace(ALL_HONOURED, temperature="generation_config")
    with policy(behaviour) as (backend, server):
        ask(backend, Propose(QUESTION, 1, Sampling(0.7, max_tokens=30), seed=1))
        ask(backend, Propose(QUESTION, 1, Sampling(0.0, max_tokens=30)))
    assert '"temperature": 0.7' in server.bodies[0]["generation_config"]
    assert '"top_k": 0' in server.bodies[0]["generation_config"]
    assert "generation_config" not in server.bodies[1]


def test_scores_are_not_ours() -> None:
    with policy(FIXED) as (backend, _):
        with pytest.raises(TypeError, match="reward model"):
            backend.submit(1, Score(QUESTION))
        with pytest.raises(TypeError, match="reward model"):
            backend.token_bound(Score(QUESTION))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base_url": "localhost:8000"}, "must begin with http"),
        ({"api": "responses"}, "api must be"),
        ({"max_concurrency": 0}, "--concurrency"),
        ({"separator": ""}, "separator"),
        ({"answer_pattern": "("}, "no regular expression"),
        ({"prompt_template": "no slot"}, "prompt_template must hold {question}"),
        ({"chat_template": "no slot"}, "chat_template must hold {question}"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], message: str) -> None:
    options = {"base_url": "http://localhost:1", "model": "m", **options}
    with pytest.raises(ConfigError, match=message):
        open_policy(**options)


def test_without_httpx_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'stepnav\[openai\]'"):
        open_policy("http://localhost:1", "m")


def test_base_urls() -> None:
    assert with_version("http://host:1") == "http://host:1/v1"
    assert with_version("http://host:1/") == "http://host:1/v1"
    assert with_version("https://host/api/v2/") == "https://host/api/v2"
    for url in ("http://[::1", "http://host:99999/v1", "http:///v1"):
        with pytest.raises(ConfigError, match="is no server's URL"):
            with_version(url)


def test_default_capabilities_promise_nothing() -> None:
    assert Capabilities().is_stop_exact
    assert Capabilities().stop == "ignored"


def test_without_a_pattern_the_end_is_the_servers() -> None:
    with policy(replace(FIXED, solution="#### 5\nso\n5", stop="kept"), answer_pattern=None) as (
        backend,
        _,
    ):
        found = solve(backend)
        (whole,) = ask(backend, Complete(QUESTION, 1, Sampling(0.0)))
    assert [step.text for step in found.steps] == ["#### 5\n", "so\n", "5"]
    assert whole.items[0].text == found.text


def without(*steps: Step, temperature: float = 1.0) -> Sampling:
    return Sampling(temperature, without=steps)


@pytest.mark.parametrize("api", ["completions", "chat"])
@pytest.mark.parametrize("changes", [{}, {"excludes": False}, {"stop": "ignored"}, {"n": "copies"}])
def test_no_step_comes_twice_where_that_is_asked(changes: dict[str, Any], api: Any) -> None:
    with policy(replace(ALL_HONOURED, **changes), api=api) as (backend, _):
        assert backend.capabilities.excludes == changes.get("excludes", True)
        drawn: tuple[Step, ...] = ()
        for number in range(3):
            request = Propose(QUESTION, 3, without(*drawn), seed=number // 2)  # seeds come again
            (answer,) = ask(backend, request)
            drawn += answer.items
        assert len({step.key for step in drawn}) == len(drawn) >= 6


def test_a_known_step_is_drawn_again_and_charged_and_left_out_in_the_end() -> None:
    with policy(replace(FIXED, excludes=False)) as (backend, server):
        (answer,) = ask(backend, Propose(QUESTION, 2, without(), seed=0))
        assert [step.text for step in answer.items] == ["Step 1: 3 + 4 = 7\n"]
        assert len(server.bodies) == 2 + 7  # the second is drawn 8 times
        assert answer.usage.policy_calls == 9
        assert answer.usage.policy_tokens == 9 * len(words("Step 1: 3 + 4 = 7\n"))
        (answer,) = ask(backend, Complete(QUESTION, 1, without(*answer.items), seed=0))
        assert answer.items == ()
        (greedy,) = ask(backend, Propose(QUESTION, 1, without(Step("x"), temperature=0.0), seed=0))
        assert len(greedy.items) == 1


def test_earlier_turns_stand_before_the_question() -> None:
    turns = (Message("system", "Be brief."), Message("user", "Hi"), Message("assistant", "Hello"))
    asked = Problem("p", "How many?", context=turns)
    with policy(FIXED, api="chat") as (backend, server):
        ask(backend, Propose(Trajectory(asked), sampling=Sampling(0.0)))
        messages = server.bodies[-1]["messages"]
    assert [(m["role"], m["content"]) for m in messages[:-1]] == [
        (t.role, t.content) for t in turns
    ]
    assert messages[-1]["role"] == "user"


THOUGHT = "Two and two.\n#### 3?\n\nNo, four."


@pytest.mark.parametrize("fields", [{"reasoning": THOUGHT}, {"reasoning_content": THOUGHT}, {}])
def test_thoughts_are_steps_of_their_own_and_no_guess_in_them_is_the_answer(
    fields: dict[str, str],
) -> None:
    content = (
        "2 + 2 = 4\n#### 4" if fields else f"<think>\n{THOUGHT}\n</think>\n\n2 + 2 = 4\n#### 4"
    )
    message = {"role": "assistant", "content": content, **fields}
    payload = {"choices": [{"index": 0, "finish_reason": "stop", "message": message}]}
    (choice,) = parse_reply("chat", payload).choices
    solution = read_solution(PromptOptions(), Capabilities(api="chat"), QUESTION, choice, 20)
    assert [step.text for step in solution.steps] == [
        "<think>\nTwo and two.\n#### 3?\n\n", "No, four.\n</think>", "\n\n2 + 2 = 4\n", "#### 4",
    ]  # fmt: skip
    assert solution.is_finished
    assert sum(step.num_tokens for step in solution.steps) == 20


def test_a_guess_in_a_thought_that_the_prefix_began_ends_no_solution():
    prefix = QUESTION.extend(Step("<think>\n"))
    options, found = PromptOptions(), Capabilities(stop="kept")
    assert read_step(options, found, prefix, "", Choice("Is it #### 5\n", "stop")) == (
        "Is it #### 5\n",
        "step",
    )
    text = "So #### 5</think>\n"
    assert read_step(options, found, prefix, "", Choice(text, "stop")) == (text, "step")
    done = prefix.extend(Step(text))
    assert read_step(options, found, done, "", Choice("#### 4\n", "stop")) == ("#### 4\n", "end")
    assert read_step(options, Capabilities(stop="removed"), done, "", Choice("", "stop"))[1] == (
        "step"
    )
    cut = read_solution(options, found, prefix, Choice("Is it #### 5\nNo,", "length"), 9)
    assert [(step.text, step.finish) for step in cut.steps[1:]] == [("Is it #### 5\nNo,", "length")]


def test_a_thought_that_is_cut_is_closed() -> None:
    message = {"role": "assistant", "content": None, "reasoning": "Two and"}
    payload = {"choices": [{"index": 0, "finish_reason": "length", "message": message}]}
    (choice,) = parse_reply("chat", payload).choices
    assert choice.text == "<think>\nTwo and\n</think>\n\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_makes_connections_of_its_own() -> None:
    with policy(FIXED) as (backend, _):
        before = ask_one(backend, Complete(QUESTION, seed=1))

        def is_the_same() -> bool:
            found = ask_one(backend, Complete(QUESTION, seed=1))
            backend.close()
            return found.items == before.items

        assert is_true_in_fork(is_the_same)
        assert is_the_same()
