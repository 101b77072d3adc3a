"""What requests want, and what is said of those that cannot be served."""

from __future__ import annotations

import pytest

from stepnav import build
from stepnav.core.options import Count
from stepnav.core.records import Message
from stepnav.core.requests import Program
from stepnav.core.strategy import Strategy
from stepnav.core.tree import Tree
from stepnav.serve.errors import ApiError
from stepnav.serve.house import Limits, Server
from stepnav.serve.routing import Passed, decide
from stepnav.serve.wanted import Wanted
from tests.serve.processes import make_house

BODY = {"model": "hgs-m", "messages": [{"role": "user", "content": "What is 2 + 2?"}]}
IMAGE = [{"type": "image_url", "image_url": {"url": "http://169.254.169.254/"}}]
SERVER = Server("http://127.0.0.1:1/v1", "m")


def fixed_sampling(tree: Tree, *, samples: Count = 1) -> Program:
    """Sample in its own way."""
    yield from ()


def want(house=None, kind="chat", headers=None, **fields):
    found = decide(house or make_house(), kind, {**BODY, **fields}, headers or {})
    assert isinstance(found, Wanted)
    return found


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"model": "gpt"}, 404, "model"),
        ({"model": "hgs"}, 404, "model"),
        ({"model": 3}, 400, "model"),
        ({"messages": "hello"}, 400, "messages"),
        ({"messages": [{"role": "user", "content": "  "}]}, 400, "messages"),
        ({"messages": [{"role": "system", "content": "x"}]}, 400, "messages"),
        ({"messages": [*BODY["messages"], {"role": "assistant", "content": "4"}]}, 400, "messages"),
        ({"messages": [{"role": "user", "content": IMAGE}]}, 400, "messages"),
        ({"messages": [{"role": "king", "content": "x"}]}, 400, "messages.0.role"),
        ({"n": 65}, 400, "n"),
        ({"temperature": float("nan")}, 400, "temperature"),
        ({"logprobs": True}, 400, "logprobs"),
        ({"tools": [{}]}, 400, "tools"),
        ({"response_format": {"type": "json_object"}}, 400, "response_format"),
        ({"previous_response_id": "resp_1"}, 400, "previous_response_id"),
        ({"stepnav": 3}, 400, "stepnav"),
        ({"stepnav": {"budget": 3}}, 400, "stepnav.budget"),
        ({"stepnav": {"budget_tokens": 0}}, 400, "stepnav.budget_tokens"),
        ({"stepnav": {"budget_tokens": "9"}}, 400, "stepnav.budget_tokens"),
        ({"stepnav": {"budget_tokens": 200_000}}, 400, "stepnav.budget_tokens"),
        ({"stepnav": {"strategy": "./evil.py:run"}}, 400, "stepnav.strategy"),
        ({"stepnav": {"strategy": "beam"}}, 400, "stepnav.strategy"),
        ({"stepnav": {"options": {"brnching": 3}}}, 400, "stepnav.options"),
        ({"stepnav": {"options": {"branching": 257}}}, 400, "stepnav.options.branching"),
        ({"stepnav": {"options": {"branching": True}}}, 400, "stepnav.options"),
        (
            {"stepnav": {"options": {"max_step_tokens": 100_001}}},
            400,
            "stepnav.options.max_step_tokens",
        ),
        ({"stepnav": {"reward": "http://evil/"}}, 400, "stepnav.reward"),
        ({"stepnav": {"trace": True}}, 400, "stepnav.trace"),
        ({"stepnav": {"policy": "http://evil/"}}, 400, "stepnav.policy"),
    ],
    ids=str,
)
def test_what_cannot_be_served_is_named(fields, status, param):
    with pytest.raises(ApiError) as error:
        want(**fields)
    assert (error.value.status, error.value.param) == (status, param)
    assert "\n" not in str(error.value)
    assert error.value.body()["error"]["param"] == param


def test_fields_of_another_endpoint_are_checked_too():
    """They are read in all of them, and must not come through as what nobody has looked at."""
    body = {"model": "cot-m", "prompt": "What?", "max_completion_tokens": [None]}
    with pytest.raises(ApiError) as error:
        decide(make_house(), "completions", body, {})
    assert error.value.param == "max_completion_tokens"


@pytest.mark.parametrize(
    "headers",
    [
        {"x-stepnav-budget": "many"},
        {"x-stepnav-budget": "\u0663"},
        {"x-request-timeout": "-1"},
        {"x-request-timeout": "nan"},
        {"x-stepnav-budget": "9" * 5000},
    ],
    ids=str,
)
def test_headers_are_checked(headers):
    with pytest.raises(ApiError) as error:
        want(headers=headers)
    assert error.value.status == 400


def test_a_strategy_without_its_reward_model_says_so():
    with pytest.raises(
        ApiError, match="hgs needs a reward model, and this server has none"
    ) as error:
        want(make_house(reward=None))
    assert error.value.param == "model"


def test_the_name_the_object_or_a_header_asks_for_a_search():
    house = make_house()
    assert want(house, model="beam-m").search.strategy.name == "beam"
    assert want(house, model="m", stepnav={"strategy": "cot"}).search.strategy.name == "cot"
    assert want(house, model="m", stepnav={}).search.strategy.name == "hgs"
    assert want(house, model="m", headers={"x-stepnav-budget": "9"}).search.strategy.name == "hgs"
    assert not want(house, model="m").is_searched
    behind = make_house(server=SERVER)
    assert decide(behind, "chat", {**BODY, "model": "m"}, {}) == Passed()
    assert decide(behind, "chat", {**BODY, "tools": [{}]}, {}) == Passed("tools")
    assert isinstance(decide(behind, "chat", BODY, {}), Wanted)
    assert decide(behind, "completions", {"model": "cot-m", "prompt": ["a", "b"]}, {}) == Passed(
        "prompt"
    )


def test_a_list_of_one_prompt_is_that_prompt():
    found = decide(
        make_house(server=SERVER), "completions", {"model": "cot-m", "prompt": ["a"]}, {}
    )
    assert found.search.problem.question == "a"


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        ("completions", ["a", "b"], "prompt .* takes one text, and it holds 2"),
        ("completions", [], "prompt .* takes one text, and it holds 0"),
        ("completions", [[1, 2]], "prompt .* takes text, and it holds tokens"),
        ("chat", [{"role": "user", "content": IMAGE}], "messages .* of type 'image_url'"),
        ("chat", [{"role": "tool", "content": "4"}], "messages .* a turn of the role tool"),
        ("chat", [{"role": "assistant", "tool_calls": [{}]}], "messages .* holds tool_calls"),
        ("chat", [{"role": "assistant", "content": "4"}], "messages .* already begun"),
        ("responses", [{"role": "user", "content": [{"type": "input_image"}]}],
         "input .* of type 'input_image'"),
    ],
    ids=str,
)  # fmt: skip
def test_what_in_a_text_cannot_be_searched_is_said(kind, given, words):
    field = {"chat": "messages", "completions": "prompt", "responses": "input"}[kind]
    body = {"model": "cot-m", field: given}
    assert decide(make_house(server=SERVER), kind, body, {}) == Passed(field)
    with pytest.raises(ApiError, match=words) as error:
        decide(make_house(), kind, body, {})
    assert (error.value.status, error.value.param) == (400, field)


def test_of_budgets_the_header_counts_before_the_body_and_that_before_the_server():
    house = make_house(limits=Limits(budget_tokens=300))
    body, header = {"budget_tokens": 200}, {"x-stepnav-budget": "100"}
    assert want(house).search.budget.policy_tokens == 300
    assert want(house, stepnav=body).search.budget.policy_tokens == 200
    assert want(house, stepnav=body, headers=header).search.budget.policy_tokens == 100
    assert want(house, stepnav=body, max_completion_tokens=50).search.budget.policy_tokens == 50
    assert want().search.budget.policy_tokens == 100_000
    assert want().search.strategy.options["reserve_tokens"] == 0  # the strategy knows of no budget


def test_sampling_fields_set_options_and_what_is_of_no_use_is_told():
    found = want(temperature=0.6, top_p=0.9, max_tokens=7, presence_penalty=1.0, user="me")
    options = found.search.strategy.options
    assert (options["temperature"], options["top_p"], options["max_step_tokens"]) == (0.6, 0.9, 7)
    assert found.ignored == ("presence_penalty",)
    assert want(temperature=0).ignored == ("temperature",)
    assert want(temperature=0).search.strategy.options["temperature"] == 0.5
    assert want(model="cot-m", temperature=0).ignored == ()
    assert want(model="m", temperature=0).search.strategy.options["temperature"] == 0
    own = want(temperature=0.5, stepnav={"options": {"temperature": 0.7}})
    assert own.search.strategy.options["temperature"] == 0.7


def test_a_temperature_of_a_strategy_without_one_is_ignored():
    fixed = Strategy("fixed", function=fixed_sampling)
    house = make_house(strategies={"fixed": fixed}, default="fixed")
    for temperature in (0, 0.6):
        assert want(house, model="fixed-m", temperature=temperature).ignored == ("temperature",)


@pytest.mark.parametrize(
    ("kind", "field", "param"),
    [("chat", "messages", "messages"), ("completions", "prompt", "prompt"),
     ("responses", "input", "input")],
)  # fmt: skip
def test_a_question_that_the_task_cannot_take_is_the_clients_fault(kind, field, param):
    house = make_house(task=build.load_task("micro-python"))
    asked = BODY["messages"] if kind == "chat" else "What is 2 + 2?"
    with pytest.raises(ApiError, match="micro") as error:
        decide(house, kind, {"model": "cot-m", field: asked}, {})
    assert (error.value.status, error.value.param) == (400, param)
    assert error.value.code == "invalid_value"


def test_the_last_turn_is_the_problem_and_those_before_it_its_context():
    turns = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Hello"},
             {"role": "assistant", "content": "Hello!"}, *BODY["messages"]]  # fmt: skip
    found = want(make_house(takes_context=True), messages=turns)
    assert found.search.problem.question == "What is 2 + 2?"
    assert found.search.problem.context == (
        Message("system", "Be brief."), Message("user", "Hello"), Message("assistant", "Hello!"),
    )  # fmt: skip
    assert want(messages=turns).ignored == ("context",)
    said = {"model": "cot-m", "input": "What?", "instructions": "Be brief."}
    found = decide(make_house(takes_context=True), "responses", said, {})
    assert found.search.problem.context == (Message("system", "Be brief."),)


def test_the_shortest_time_counts():
    house = make_house(limits=Limits(max_seconds=50))
    assert want(house).max_seconds == 50
    own = {"max_seconds": 40}
    assert want(house, stepnav=own).max_seconds == 40
    assert want(house, stepnav=own, headers={"x-request-timeout": "30"}).max_seconds == 30
    assert want(house, headers={"x-request-timeout": "70"}).max_seconds == 50
