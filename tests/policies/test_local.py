"""The local policy: what it samples, where steps end, what it costs."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch

from stepnav.core.backend import Answer
from stepnav.core.errors import BackendError, ConfigError
from stepnav.core.records import Step
from stepnav.core.requests import Complete, Propose, Sampling, Score
from stepnav.policies.local import LocalPolicy, PolicyFormat
from stepnav.policies.local.prompt import PromptEncoder, StepCutter
from stepnav.policies.local.samples import Sample, StepWriter
from stepnav.policies.remainder import Tries
from tests.engine.small_models import causal_model, poll_all, prefix, tokenizer


def policy(**options: Any) -> LocalPolicy:
    options.setdefault("max_step_tokens", 40)
    return LocalPolicy(options.pop("model", None) or causal_model(), tokenizer(), **options)


def ask(backend: LocalPolicy, *requests: Any) -> list[Any]:
    for ticket, request in enumerate(requests):
        backend.submit(ticket, request)
    answers = poll_all(backend, len(requests))
    return [answers[ticket] for ticket in range(len(requests))]


def greedy_reference(model: Any, tokens: list[int], limit: int) -> tuple[list[int], float]:
    """Return what plain forward passes write greedily up to a newline, and its log-probability."""
    written: list[int] = []
    total = 0.0
    with torch.inference_mode():
        while len(written) < limit:
            log_probs = (
                model(input_ids=torch.tensor([tokens + written])).logits[0, -1].log_softmax(-1)
            )
            token = int(log_probs.argmax())
            total += float(log_probs[token])
            written.append(token)
            text = tokenizer().decode(written)
            if token == 1 or (text.strip() and "\n" in text.lstrip()):
                break
    return written, total


def test_greedy_steps_equal_plain_forward_passes() -> None:
    plain = causal_model()
    backend = policy()
    for index in range(4):
        trajectory = prefix(index, "3 + 4 = 7.\n")
        prompt = f"{trajectory.problem.question}\n"
        tokens = [0, *tokenizer().encode(prompt, add_special_tokens=False)]
        tokens += tokenizer().encode("3 + 4 = 7.\n", add_special_tokens=False)
        (answer,) = ask(backend, Propose(trajectory, sampling=Sampling(0), seed=1))
        written, total = greedy_reference(plain, tokens, 40)
        step = answer.items[0]
        assert [*step.token_ids, *([1] if step.finish == "end" else [])] == written
        assert step.logprob == pytest.approx(total, abs=1e-3)
        assert step.num_tokens == len(written)


def test_steps_end_at_the_separator_even_inside_a_token() -> None:
    steps = [
        step
        for answer in ask(policy(), *(Propose(prefix(i), n=16, seed=i) for i in range(8)))
        for step in answer.items
    ]
    finishes = {step.finish for step in steps}
    assert finishes == {"step", "end", "length"}
    for step in steps:
        assert step.text == tokenizer().decode(step.token_ids)
        visible = step.text.lstrip()
        if step.finish == "step":
            assert "\n" in visible
            assert "\n" not in tokenizer().decode(step.token_ids[:-1]).lstrip()
        else:
            assert "\n" not in visible
            assert "</s>" not in step.text
        assert step.num_tokens == len(step.token_ids) + (step.finish == "end")
    assert any(
        tokenizer().decode(step.token_ids[-1:]) != "\n" for step in steps if step.finish == "step"
    )


def test_a_separator_of_several_tokens() -> None:
    cut = PolicyFormat(separator="e")
    (answer,) = ask(policy(format=cut), Propose(prefix(), n=16, seed=3))
    assert any(step.finish == "step" for step in answer.items)
    for step in answer.items:
        assert ("e" in step.text) == (step.finish == "step")


def test_a_step_with_the_answer_ends_the_solution() -> None:
    (plain,) = ask(policy(), Propose(prefix(), n=16, seed=3))
    ending = PolicyFormat(answer_pattern="[a-m]")
    (answer,) = ask(policy(format=ending), Propose(prefix(), n=16, seed=3))
    for before, after in zip(plain.items, answer.items):
        assert before.text == after.text
        if before.finish == "step":
            has_answer = any(letter in before.text for letter in "abcdefghijklm")
            assert after.finish == ("end" if has_answer else "step")


def test_a_completion_is_cut_where_proposals_are() -> None:
    backend = policy(max_tokens=100)
    start = prefix(1, "3 + 4 = 7.\n")
    for answer in ask(
        backend, *(Complete(start, sampling=Sampling(0.9), seed=seed) for seed in range(6))
    ):
        trajectory = answer.items[0]
        assert trajectory.steps[0].text == "3 + 4 = 7.\n"
        new = trajectory.steps[1:]
        assert all(step.finish == "step" and "\n" in step.text.lstrip() for step in new[:-1])
        assert new[-1].finish in ("end", "length")
        assert sum(step.num_tokens for step in new) == answer.usage.policy_tokens


def test_a_greedy_completion_is_the_chain_of_greedy_proposals() -> None:
    backend = policy(max_tokens=60, max_step_tokens=60)
    trajectory = prefix(2)
    (answer,) = ask(backend, Complete(trajectory, sampling=Sampling(0), seed=0))
    while not trajectory.is_finished and len(trajectory.steps) < len(answer.items[0].steps):
        (step,) = ask(backend, Propose(trajectory, sampling=Sampling(0), seed=9))[0].items
        trajectory = trajectory.extend(step)
    assert answer.items[0].text.startswith(trajectory.text[:-1])


def test_limits_are_kept() -> None:
    backend = policy()
    answers = ask(
        backend,
        Propose(prefix(), 8, Sampling(max_tokens=3), seed=0),
        Complete(prefix(), 8, Sampling(max_tokens=5), seed=0),
    )
    assert all(step.num_tokens <= 3 for step in answers[0].items)
    assert all(sum(s.num_tokens for s in item.steps) <= 5 for item in answers[1].items)
    assert backend.token_bound(Propose(prefix(), 8, Sampling(max_tokens=3))) == 24
    assert backend.token_bound(Propose(prefix(), 2)) == 80
    assert backend.token_bound(Complete(prefix(), 2)) == 2048


def test_usage_counts_every_token() -> None:
    backend = policy()
    (first,) = ask(backend, Propose(prefix(3), 4, seed=5))
    num_prompt = first.prefix_tokens[-1]
    generated = sum(step.num_tokens for step in first.items)
    assert first.usage.policy_calls == 4
    assert first.usage.policy_prompt_tokens == 4 * num_prompt
    assert first.usage.policy_cached_tokens == 3 * num_prompt
    assert first.usage.policy_tokens == generated
    assert first.usage.flops == 2 * backend.num_parameters * (num_prompt + generated)
    assert first.flops_per_token == 2 * backend.num_parameters


def test_parameters_leave_the_input_table_out() -> None:
    model = causal_model()
    total = sum(parameter.numel() for parameter in model.parameters())
    assert policy(model=model).num_parameters == total - len(tokenizer()) * 32


def test_a_child_never_reads_its_parent_again() -> None:
    backend = policy()
    (first,) = ask(backend, Propose(prefix(3), 6, seed=5))
    parent = next(step for step in first.items if step.finish == "step")
    read = backend.runner.num_read_tokens
    trajectory = prefix(3).extend(parent)
    (child,) = ask(backend, Propose(trajectory, 6, seed=6))
    assert child.prefix_tokens == (
        *first.prefix_tokens,
        first.prefix_tokens[-1] + len(parent.token_ids),
    )
    assert child.usage.policy_prompt_tokens - child.usage.policy_cached_tokens == 1
    assert backend.runner.num_read_tokens - read == 1 + sum(
        len(s.token_ids) for s in child.items
    ) - sum(step.finish != "end" for step in child.items)
    (again,) = ask(backend, Propose(trajectory, 1, seed=7))
    assert again.usage.policy_cached_tokens == again.usage.policy_prompt_tokens


def test_finished_steps_leave_and_waiting_ones_join() -> None:
    backend = policy(max_batch=4)
    for ticket in range(12):
        backend.submit(ticket, Propose(prefix(ticket), sampling=Sampling(1.0), seed=ticket))
    order: list[int] = []
    running: list[int] = []
    while len(order) < 12:
        order += [ticket for ticket, _ in backend.poll(0)]
        running.append(backend.runner.num_running)
    assert order != sorted(order)
    assert max(running) <= 4
    assert backend.runner.num_passes < 12 * 40 / 3


def test_a_cancelled_request_leaves_nothing_behind() -> None:
    backend = policy(max_batch=4)
    for ticket in range(6):
        backend.submit(ticket, Propose(prefix(ticket), 3, seed=ticket))
    backend.poll(0)
    backend.poll(0)
    for ticket in (0, 1, 5, 77):
        backend.cancel(ticket)
    answers = poll_all(backend, 3)
    assert set(answers) == {2, 3, 4}
    assert (backend.runner.num_running, backend.runner.num_waiting) == (0, 0)
    for ticket in range(10, 13):
        backend.submit(ticket, Propose(prefix(ticket), 3, seed=ticket))
        backend.poll(0)
        backend.cancel(ticket)
    assert (backend.runner.num_running, backend.runner.num_waiting) == (0, 0)
    assert backend.poll(0) == []
    backend.close()
    backend.close()


def test_chat_models_get_their_template_and_go_on_in_the_turn() -> None:
    words = tokenizer()
    chat = type(words)(tokenizer_object=words.backend_tokenizer, bos_token="<s>", eos_token="</s>")
    chat.chat_template = (
        "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}[assistant]"
    )
    backend = LocalPolicy(
        causal_model(), chat, format=PolicyFormat(is_chat=True, system_prompt="Be brief")
    )
    (answer,) = ask(backend, Propose(prefix(0, "ok\n"), seed=0))
    text = f"[system]Be brief[user]{prefix(0).problem.question}[assistant]ok\n"
    assert answer.prefix_tokens[-1] == len(words.encode(text, add_special_tokens=False))
    with pytest.raises(ConfigError, match=r"no chat template; .* leave out --chat \(is_chat in Py"):
        policy(format=PolicyFormat(is_chat=True))


def test_bf16_runs() -> None:
    backend = policy(model=causal_model().to(torch.bfloat16))
    (answer,) = ask(backend, Propose(prefix(), 4, seed=0))
    assert len(answer.items) == 4


def test_a_prompt_that_does_not_fit_is_answered_with_an_error() -> None:
    backend = policy()
    (answer,) = ask(backend, Propose(prefix(0, "word " * 600), seed=0))
    assert isinstance(answer, BackendError)
    assert "512" in str(answer)


def test_a_model_whose_positions_change_with_length_writes_the_same_beside_long_rows() -> None:
    short, long = Propose(prefix(1), 4, seed=0), Propose(prefix(2, "word " * 80), seed=0)
    (alone,) = ask(policy(model=causal_model("phi3-longrope")), short)
    beside, refused = ask(policy(model=causal_model("phi3-longrope"), cache_tokens=0), short, long)
    assert beside.items == alone.items
    assert "the model's context is 64" in str(refused)


def test_samples_stop_at_the_context() -> None:
    backend = policy(max_tokens=1000)
    trajectory = prefix(0, "w " * 240)
    (answer,) = ask(backend, Complete(trajectory, 4, seed=0))
    assert isinstance(answer, Answer)
    for item in answer.items:
        used = answer.prefix_tokens[-1] + sum(len(s.token_ids or ()) for s in item.steps[1:])
        assert used <= 512


def test_a_score_is_refused() -> None:
    with pytest.raises(TypeError):
        policy().submit(0, Score(prefix()))


def test_a_step_without_tokens_is_tokenised() -> None:
    backend = policy()
    given = Step(
        "3 + 4 = 7.\n",
        token_ids=tuple(tokenizer().encode("3 + 4 = 7.\n", add_special_tokens=False)),
    )
    first, second = ask(
        backend,
        Propose(prefix(0).extend(given), 2, seed=4),
        Propose(prefix(0, "3 + 4 = 7.\n"), 2, seed=4),
    )
    assert first.items == second.items


def test_special_tokens_are_never_proposed_as_text() -> None:
    model = causal_model()
    head = torch.nn.Linear(*reversed(model.lm_head.weight.shape))
    head.weight.data = model.lm_head.weight.data.clone()
    head.bias.data.zero_()
    head.bias.data[0] = 1000.0  # "<s>" is what this model always wants to write
    model.lm_head = head
    requests = [
        Propose(prefix(), 8, Sampling(1.0), seed=0),
        Complete(prefix(), sampling=Sampling(0)),
    ]
    drawn, greedy = ask(policy(model=model, max_tokens=40), *requests)
    texts = [step.text for step in drawn.items] + [item.text for item in greedy.items]
    assert all(text for text in texts)
    assert not any("<s>" in text for text in texts)


def written(text: str, **options: Any) -> tuple[list[Step], bool]:
    """Return the steps of a completion that writes this text, and whether it came to an end."""
    words = tokenizer()
    cutter = StepCutter(words, "\n", options.pop("end_strings", ()))
    writer = StepWriter(cutter, frozenset({1}), None)
    sample = Sample.of(Complete(prefix()), [5], 999, Tries())
    ended = [
        writer.add(sample, token, -1.0) for token in words.encode(text, add_special_tokens=False)
    ]
    assert not any(ended[:-1])
    return sample.steps, ended[-1]


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("3 + 4 = 7.\nHe has 7.\n\nQuestion:", ["3 + 4 = 7.\n", "He has 7.\n\n"]),
        ("3 + 4 = 7.\nHe has 7. Question:", ["3 + 4 = 7.\n", "He has 7. "]),
        ("Question:", [""]),
    ],
)
def test_a_solution_ends_before_an_end_string(text: str, steps: list[str]) -> None:
    found, is_ended = written(text, end_strings=("Question:", "</s>"))
    assert is_ended
    assert [step.text for step in found] == steps
    assert [step.finish for step in found] == ["step"] * (len(steps) - 1) + ["end"]
    assert found[-1].token_ids is None  # the last token may reach beyond the text
    assert sum(step.num_tokens for step in found) == len(
        tokenizer().encode(text, add_special_tokens=False)
    )
    assert not written(text)[1]


def test_end_strings_hold_no_separator() -> None:
    with pytest.raises(ConfigError, match="text without the separator"):
        PolicyFormat(end_strings=("\nQuestion:",))


@pytest.mark.parametrize(("add_bos", "first"), [(True, [0]), (False, []), (None, [7])])
def test_the_first_token_is_the_tokenizers_own_where_nothing_is_said(
    add_bos: bool | None, first: list[int]
) -> None:
    from tokenizers.processors import TemplateProcessing

    words = copy.deepcopy(tokenizer())
    mark = words.convert_ids_to_tokens(7)
    words.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{mark} $A </s>", special_tokens=[(mark, 7), ("</s>", 1)]
    )
    trajectory = prefix()
    encoder = PromptEncoder(words, PolicyFormat(add_bos=add_bos))
    plain = words.encode(trajectory.problem.question + "\n", add_special_tokens=False)
    assert encoder.encode(trajectory)[0] == [*first, *plain]


@pytest.mark.parametrize("temperature", [1e-4, 1e-38, 1e-44])
@pytest.mark.parametrize("without", [None, ()])
def test_a_temperature_that_logits_overflow_at_is_greedy(
    temperature: float, without: tuple[Step, ...] | None
) -> None:
    backend = policy()
    tiny = Sampling(temperature, without=without)
    greedy, cold = ask(
        backend,
        Propose(prefix(), sampling=Sampling(0, without=without), seed=1),
        Propose(prefix(), sampling=tiny, seed=2),
    )
    assert cold.items[0].token_ids == greedy.items[0].token_ids
    later = Sampling(0, without=(), later_temperature=temperature)
    (first,) = ask(backend, Propose(prefix(), sampling=later, seed=1))
    assert not any(math.isnan(rest) for rest in first.items[0].draw.rests)
