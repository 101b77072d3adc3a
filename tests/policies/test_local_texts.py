"""What a local policy is shown and where its texts end, by its tokenizer and chat template."""

from __future__ import annotations

from typing import Any

import pytest

from stepnav.core.backend import Answer
from stepnav.core.errors import BackendError
from stepnav.core.records import Message, Problem, Step, Trajectory
from stepnav.core.requests import Ask, Complete, Score
from stepnav.policies.local import LocalPolicy, PolicyFormat
from stepnav.policies.local.prompt import PromptEncoder, StepCutter
from stepnav.policies.local.samples import Sample, StepWriter
from stepnav.policies.remainder import Tries
from stepnav.rewards.judge import JudgeReward
from tests.engine.small_models import causal_model, poll_all, prefix, tokenizer
from tests.rewards.public_models import mistral_tokenizer

GEMMA = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('No system role') }}{% endif %}"
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Roles must alternate') }}{% endif %}"
    "[{{ m['role'] }}]{{ m['content'] }}{% endfor %}[model]"
)


def words_with(**attributes: Any) -> Any:
    words = tokenizer()
    own = type(words)(tokenizer_object=words.backend_tokenizer, bos_token="<s>", eos_token="</s>")
    for name, value in attributes.items():
        setattr(own, name, value)
    return own


def chatting(**options: Any) -> LocalPolicy:
    words = words_with(chat_template=GEMMA)
    shown = PolicyFormat(is_chat=True, **options)
    model = causal_model()
    model.config.max_position_embeddings = 2048  # a judge's examples are long
    return LocalPolicy(model, words, format=shown, max_tokens=5)


def test_turns_that_a_template_refuses_are_an_error_of_their_request_alone() -> None:
    backend = chatting()
    question = prefix().problem
    twice = Problem("p", "Why?", context=(Message("user", "Who?"),))
    backend.submit(0, Complete(Trajectory(question), seed=1))
    backend.submit(1, Complete(Trajectory(twice), seed=1))
    backend.submit(2, Ask((Message("user", "Who?"), Message("user", "Why?")), seed=1))
    answers = poll_all(backend, 3)
    assert isinstance(answers[0], Answer)
    for ticket in (1, 2):
        assert "Roles must alternate" in str(answers[ticket])
        assert (answers[ticket].status_code, answers[ticket].code) == (400, "unreadable")


def test_a_system_turn_that_a_template_refuses_joins_the_users() -> None:
    encoder = PromptEncoder(
        words_with(chat_template=GEMMA), PolicyFormat(is_chat=True, system_prompt="Be brief.")
    )
    context = (Message("system", "Be kind."), Message("user", "Hi"), Message("assistant", "Ho"))
    ids, _ = encoder.encode(Trajectory(Problem("p", "Why?", context=context)))
    assert tokenizer().decode(ids) == (
        "[user]Be brief.\n\nBe kind.\n\nHi[assistant]Ho[user]Why?[model]"
    )
    ids, _ = encoder.encode_messages((Message("system", "Rate."), Message("user", "Why?")))
    assert tokenizer().decode(ids) == "[user]Rate.\n\nWhy?[model]"
    with pytest.raises(BackendError, match="No system role"):
        encoder.encode_messages((Message("system", "Rate."),))


def test_a_judge_without_a_system_role_judges() -> None:
    judge = JudgeReward(chatting())
    judge.submit(0, Score(prefix(0, "3 + 4 = 7.\n")))
    assert isinstance(poll_all(judge, 1)[0], Answer)


def test_what_a_tokenizer_cannot_read_is_an_error_of_its_request_alone() -> None:
    class Strict(type(tokenizer())):  # type: ignore[misc]
        def encode(self, text: str, **options: Any) -> Any:
            if "€" in text:
                raise Exception("no token for €")
            return super().encode(text, **options)

    words = Strict(
        tokenizer_object=tokenizer().backend_tokenizer, bos_token="<s>", eos_token="</s>"
    )
    backend = LocalPolicy(causal_model(), words, max_tokens=5)
    backend.submit(0, Complete(prefix(), seed=1))
    backend.submit(1, Complete(Trajectory(Problem("p", "2 €?")), seed=1))
    backend.submit(2, Complete(prefix(0, "2 €\n"), seed=1))
    answers = poll_all(backend, 3)
    assert isinstance(answers[0], Answer)
    assert [answers[ticket].status_code for ticket in (1, 2)] == [400, 400]


def test_a_fault_while_a_request_is_opened_is_its_own(monkeypatch: Any) -> None:
    backend = LocalPolicy(causal_model(), tokenizer(), max_tokens=5)
    monkeypatch.setattr(backend, "_limit", lambda request: 1 / 0)
    backend.submit(0, Complete(prefix(), seed=1))
    error = poll_all(backend, 1)[0]
    assert isinstance(error, BackendError)
    assert "ZeroDivisionError" in str(error)


def written_steps(text: str, prefix_text: str = "", before: str = "") -> list[tuple[str, str]]:
    """Return the steps of a completion that writes a text after another, and why each ended."""
    words = tokenizer()
    writer = StepWriter(StepCutter(words, "\n"), frozenset({1}), "####", before)
    asked = Trajectory(prefix().problem, (Step(prefix_text),) if prefix_text else ())
    sample = Sample.of(Complete(asked), [5], 999, Tries())
    for token in [*words.encode(text, add_special_tokens=False), 1]:
        if writer.add(sample, token, -1.0):
            break
    return [(step.text, step.finish) for step in sample.steps]


@pytest.mark.parametrize(
    ("before", "opened"), [("", ""), ("<think>\n", ""), ("", "<think>"), ("Hm.\n", "<think>")]
)
def test_a_guess_in_a_thought_ends_no_solution(before: str, opened: str) -> None:
    mark = "" if before or opened else "<think>"
    text = f"{mark}#### 5?\nNo. #### 6</think>\n#### 4\n#### 3\n"
    assert written_steps(text, before, opened) == [
        (f"{mark}#### 5?\n", "step"),
        ("No. #### 6</think>\n", "step"),
        ("#### 4\n", "end"),
    ]


def test_a_template_that_opens_the_thought_is_known() -> None:
    for end, mark in (("", ""), ("<think>\n", "<think>")):
        words = words_with(chat_template=f"{{{{ messages[0]['content'] }}}}{end}")
        backend = LocalPolicy(causal_model(), words, format=PolicyFormat(is_chat=True))
        assert backend.before_solutions == mark


def first_end(words: Any, separator: str, text: str, *ends: str) -> str | None:
    """Return what is written of a text's own tokens when its first step, or the solution, ends."""
    cutter = StepCutter(words, separator, ends)
    ids = words.encode(text, add_special_tokens=False)
    for count in range(1, len(ids) + 1):
        if cutter.may_end(ids[count - 1]):
            found = cutter.text([], ids[:count])
            if cutter.is_end(found) or cutter.before_end_string(found)[1]:
                return found
    return None


@pytest.mark.parametrize("make", [tokenizer, mistral_tokenizer])
@pytest.mark.parametrize("separator", ["\n", "。", "→", ". ", " ; "])
def test_a_separator_is_seen_however_its_characters_are_tokens(make: Any, separator: str) -> None:
    text = f"x{separator}x{separator}x"
    found = first_end(make(), separator, text)
    assert found is not None
    assert text.startswith(found)
    assert found.count(separator) == 1
    assert first_end(make(), "\n\n", text, separator) == found


@pytest.mark.parametrize("make", [tokenizer, mistral_tokenizer])
def test_steps_without_tokens_are_tokenised_as_what_follows(make: Any) -> None:
    words = make()
    encoder = PromptEncoder(words, PolicyFormat(add_bos=False))
    steps = (Step("He has more.\n"), Step("  x is 7\n"))
    ids, totals = encoder.encode(Trajectory(Problem("p", "Tom has."), steps))
    assert words.decode(ids) == "Tom has.\nHe has more.\n  x is 7\n"
    if make is mistral_tokenizer:
        assert ids == words.encode("Tom has.\nHe has more.\n  x is 7\n", add_special_tokens=False)
    assert len(totals) == 3
