"""The probe against a server that honours or ignores each field, over a real socket."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest

from stepnav.core.errors import BackendDown, ConfigError
from stepnav.policies.openai.capabilities import Capabilities, fallbacks
from stepnav.policies.openai.probe import continuation_point, stop_kind, stop_string
from tests.policies.openai.fake_server import Behaviour, FakeOpenAI, open_policy

ALL = Behaviour()
GOOD = Capabilities(n=True, stop="removed", seed="honoured", logprobs=True, excludes=True)


def probe(behaviour: Behaviour, **options: Any) -> tuple[Capabilities, list[str], FakeOpenAI]:
    with FakeOpenAI(behaviour) as server:
        policy = open_policy(server.url, "fake", backoff_s=0.001, **options)
        policy.close()
    return policy.capabilities, policy.fallbacks, server


@pytest.mark.parametrize(
    ("behaviour", "expected", "line"),
    [
        (ALL, GOOD, "removed without a trace"),
        (replace(ALL, names_stop=True), replace(GOOD, names_stop=True), None),
        (
            replace(ALL, keep_stop_field="include_stop_str_in_output"),
            replace(GOOD, keep_stop_field="include_stop_str_in_output"),
            None,
        ),
        (
            replace(ALL, keep_stop_field="no_stop_trim"),
            replace(GOOD, keep_stop_field="no_stop_trim"),
            None,
        ),
        (replace(ALL, stop="kept"), replace(GOOD, stop="kept"), "trimmed at the boundary"),
        (replace(ALL, stop="ignored"), replace(GOOD, stop="ignored"), "stop is ignored"),
        (replace(ALL, n="ignored"), replace(GOOD, n=False), "one by one"),
        (replace(ALL, n="copies"), replace(GOOD, n=False), "one by one"),
        (replace(ALL, seed="ignored"), replace(GOOD, seed="ignored"), "seed is ignored"),
        (
            replace(ALL, seed="alone", n="ignored"),
            replace(GOOD, seed="alone", n=False),
            "no other request is in flight",
        ),
        (
            replace(ALL, temperature="ignored", n="copies"),
            replace(GOOD, temperature="ignored", seed="ignored", n=False),
            "temperature has no effect",
        ),
        (
            replace(ALL, temperature="generation_config"),
            replace(GOOD, temperature="generation_config"),
            "generation_config is sent",
        ),
        (
            replace(ALL, logprobs=False),
            replace(GOOD, logprobs=False, excludes=False),
            "no log-probability",
        ),
        (replace(ALL, excludes=False), replace(GOOD, excludes=False), "no token can be excluded"),
        (replace(ALL, max_logprobs=5), replace(GOOD, excludes=False), "no token can be excluded"),
        (replace(ALL, usage=False), replace(GOOD, usage=False), "characters / 4"),
        (
            replace(ALL, keeps_max_tokens=False),
            replace(GOOD, max_tokens=False),
            "max_tokens is not kept",
        ),
        (
            replace(ALL, max_tokens_field="max_completion_tokens"),
            replace(GOOD, max_tokens_field="max_completion_tokens"),
            "sent as max_completion_tokens",
        ),
        (
            replace(ALL, max_tokens_limit=8),
            replace(GOOD, max_tokens_limit=8),
            "at most 8 tokens",
        ),
    ],
)
def test_each_field(behaviour: Behaviour, expected: Capabilities, line: str | None) -> None:
    found, lines, _ = probe(behaviour, api="completions")
    assert found == expected
    assert lines == list(fallbacks(found))
    assert line is None or any(line in text for text in lines)


@pytest.mark.parametrize("refusal", ["detail", "pydantic", "param"])
def test_refused_fields_are_left_out(refusal: str) -> None:
    names = ("seed", "n", "logprobs", "top_p", "include_stop_str_in_output", "no_stop_trim")
    found, lines, server = probe(replace(ALL, refused=names, refusal=refusal), api="completions")
    expected = replace(
        GOOD, n=False, seed="ignored", logprobs=False, excludes=False, refused=tuple(sorted(names))
    )
    assert found == expected
    assert any("refused and left out: include_stop_str_in_output" in line for line in lines)
    assert sum("seed" in body for body in server.bodies) == 1


def test_a_refused_temperature_is_an_ignored_one() -> None:
    found, lines, _ = probe(replace(ALL, refused=("temperature",)), api="completions")
    assert (found.temperature, found.seed) == ("ignored", "honoured")
    assert any("temperature has no effect" in line for line in lines)


def test_a_refused_stop_is_an_ignored_one() -> None:
    found, _, _ = probe(replace(ALL, refused=("stop",)), api="completions")
    assert (found.stop, found.refused) == ("ignored", ("stop",))


@pytest.mark.parametrize("way", ["continue_final_message", "prefix", "plain", "no"])
@pytest.mark.parametrize("trims", [False, True])
def test_how_a_chat_is_continued(way: str, trims: bool) -> None:
    found, lines, _ = probe(replace(ALL, continues=way, trims_prefix=trims), api="chat")
    assert found.continues == way
    assert found.trims_prefix == (trims and way != "no")
    assert any("new user turn" in line for line in lines) == (way == "no")
    assert any("white space at the end" in line for line in lines) == found.trims_prefix


def test_auto_takes_completions_where_they_are() -> None:
    assert probe(ALL)[0].api == "completions"
    assert probe(replace(ALL, apis=("chat",)))[0].api == "chat"


def test_known_capabilities_are_not_probed_again() -> None:
    with FakeOpenAI(ALL) as server:
        policy = open_policy(server.url, "fake", capabilities=GOOD)
        policy.close()
    assert policy.capabilities == GOOD
    assert server.bodies == []


def test_one_request_at_a_time_makes_an_alone_seed_repeatable() -> None:
    found, _, _ = probe(replace(ALL, seed="alone", n="ignored"), max_concurrency=1)
    assert found.seed == "honoured"


def test_an_unknown_model_names_those_served() -> None:
    wrong_model = pytest.raises(BackendDown, match=r"no model 'fake'.*its models are other")
    with FakeOpenAI(replace(ALL, model="other")) as server, wrong_model as caught:
        open_policy(server.url, "fake")
    assert caught.value.status_code == 404


@pytest.mark.parametrize(
    ("greedy", "stop"),
    [("abcabc", "c"), ("e5e5e5e5", "5"), ("aaaa", None), ("", None), ("ab\ncdefgh", "c")],
)
def test_the_stop_string_is_reached_within_the_text(greedy: str, stop: str | None) -> None:
    assert stop_string(greedy) == stop


def test_stop_kinds() -> None:
    assert stop_kind("ab", "abcdef", "c") == "removed"
    assert stop_kind("abc", "abcdef", "c") == "kept"
    assert stop_kind("abcdef", "abcdef", "c") == "ignored"


def test_a_text_that_repeats_itself_cannot_show_a_continuation() -> None:
    assert continuation_point("one\none\none\none") is None
    assert continuation_point("first line\nsecond line\n") == 11
    assert continuation_point("red green blue black") == 9
    assert continuation_point("") is None


def test_the_only_model_needs_no_name() -> None:
    with FakeOpenAI(replace(ALL, model="the-one")) as server:
        policy = open_policy(server.url)
        policy.close()
    assert policy.model == "the-one"
    assert all(body["model"] == "the-one" for body in server.bodies)


def test_one_of_several_models_must_be_named() -> None:
    several = pytest.raises(ConfigError, match="name one of big, small")
    with FakeOpenAI(replace(ALL, model="big", other_models=("small",))) as server, several:
        open_policy(server.url)


def test_what_it_falls_back_on_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "stepnav"):
        _, lines, _ = probe(replace(ALL, n="ignored", stop="kept"), api="completions")
    logged = [record.getMessage() for record in caplog.records if record.name == "stepnav"]
    assert len(lines) == len(logged) == 2
    assert all(text.endswith(line) for text, line in zip(logged, lines))
