"""Tokens made piece by piece are those of the whole text, whatever the text."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepnav.core.errors import BackendError
from stepnav.core.records import Problem, Step, Trajectory, trimmed
from stepnav.rewards.families import chat_labels, label_tokens, qwen_prm, skywork
from stepnav.rewards.families.label_tokens import MATH_SHEPHERD, LabelTokens
from stepnav.rewards.local.piece_encoder import PieceEncoder
from stepnav.rewards.local.reward import LocalReward
from stepnav.rewards.local.step_reader import ClassProbs, PairProbs, ValueProbs
from tests.rewards import public_models
from tests.rewards.references import BOXED

TEXTS = st.text(alphabet="ab ки+-\n▁=12é\u0301{\t", max_size=12)
TRAJECTORIES = st.tuples(TEXTS, st.lists(TEXTS, min_size=1, max_size=4))


@cache
def encoder(family: str) -> tuple[Any, PieceEncoder]:
    if family == "qwen":
        tokenizer = public_models.qwen_tokenizer()
        return tokenizer, qwen_prm._encoder(tokenizer)
    if family == "skywork":
        tokenizer = public_models.qwen_tokenizer(bos="<|endoftext|>")
        return tokenizer, skywork._encoder(tokenizer)
    if family == "shepherd":
        tokenizer = public_models.mistral_tokenizer()
        return tokenizer, label_tokens._encoder(tokenizer, LabelTokens())
    tokenizer = public_models.llama_tokenizer()
    turns = chat_labels._Turns(tokenizer)
    return tokenizer, PieceEncoder(turns.first, turns.later)


def whole(family: str, tokenizer: Any, question: str, steps: list[str]) -> list[int]:
    if family == "qwen":
        answer = "".join(f"{step}<extra_0>" for step in steps)
        turns = (("system", BOXED), ("user", question), ("assistant", answer))
    elif family == "rlhflow":
        shown = [f"{question} {steps[0]}", *steps[1:]]
        turns = tuple(turn for step in shown for turn in (("user", step), ("assistant", "+")))
    else:
        text = "\n".join(f"{step} ки" for step in steps)
        return list(tokenizer.encode(f"{question} {text}"))
    messages = [{"role": role, "content": content} for role, content in turns]
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    ids = list(tokenizer.encode(text, add_special_tokens=False))
    return ids[:-2] if family == "qwen" else ids  # an answer's end: <|im_end|>, newline


@pytest.mark.parametrize("family", ["qwen", "rlhflow", "shepherd"])
@settings(max_examples=150, deadline=None)
@given(TRAJECTORIES)
def test_pieces_are_the_whole(family: str, asked: tuple[str, list[str]]) -> None:
    question, texts = asked
    tokenizer, pieces = encoder(family)
    steps = tuple(Step(text) for text in texts)
    shown = [trimmed(text) for text in texts]
    expected = whole(family, tokenizer, question, shown)
    try:
        ids, totals = pieces.encode(Trajectory(Problem("q", question), steps))
    except BackendError as error:
        assert family == "shepherd"
        tag = tokenizer.encode("ки", add_special_tokens=False)[0]
        number = int(str(error).split()[1]) if str(error).startswith("step") else 0
        culprit = shown[number - 1] if number else question
        alone = tokenizer.encode(culprit, add_special_tokens=False)
        assert tag in alone or expected.count(tag) != len(steps) or culprit.endswith("▁")
        return
    assert ids == expected
    assert len(totals) == len(steps) + 1
    assert totals[-1] == len(ids)
    for depth in range(1, len(steps) + 1):
        prefix = Trajectory(Problem("q", question), steps[:depth])
        assert pieces.encode(prefix) == (ids[: totals[depth]], totals[: depth + 1])
    if family != "rlhflow":
        marks = {ids[total - 1] for total in totals[1:]}
        assert len(marks) == 1
        assert [at + 1 for at, token in enumerate(ids) if token in marks] == list(totals[1:])


def test_what_was_tokenised_is_remembered_and_forgotten() -> None:
    pieces = PieceEncoder(lambda question, step: ([1, 2, 3], 1), lambda step: [len(step)])
    trajectory = Trajectory(Problem("q", "Q"), (Step("a"), Step("bb")))
    for _ in range(2):
        assert pieces.encode(trajectory) == ([1, 2, 3, 2], (1, 3, 4))
    pieces._laters = {str(number): [] for number in range(70_000)}
    assert pieces.encode(trajectory) == ([1, 2, 3, 2], (1, 3, 4))
    assert len(pieces._laters) == 1


def test_label_tokens_of_another_model(tmp_path: Any) -> None:
    """An added token for a tag, no BOS token."""
    import torch
    from transformers import AutoModelForCausalLM, Qwen2Config

    from stepnav.core.requests import Score
    from tests.engine.small_models import poll_all

    tokenizer = public_models.qwen_tokenizer()
    tokenizer.add_tokens(["<step>"])
    config = Qwen2Config(**public_models.small(len(tokenizer)))
    model = public_models.spread(AutoModelForCausalLM.from_config(config), 3)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    LabelTokens(tag="<step>", joiner=" ", prompt_template="Q: {question}\nA: ").save(tmp_path)
    backend = LocalReward.open(MATH_SHEPHERD, tmp_path, device="cpu")
    trajectory = Trajectory(Problem("q", "1 + 1?"), (Step("It is 2."), Step("So 2.\n")))
    backend.submit(0, Score(trajectory))
    found = [item.positive_prob for item in poll_all(backend, 1)[0].items]
    ids = torch.tensor([tokenizer.encode("Q: 1 + 1?\nA: It is 2. <step> So 2. <step>")])
    good, bad = (tokenizer.encode(text)[0] for text in "+-")
    with torch.inference_mode():
        logits = model(ids).logits[0, ids[0] == tokenizer.convert_tokens_to_ids("<step>")]
    assert found == pytest.approx(logits[:, [good, bad]].softmax(-1)[:, 0].tolist(), abs=1e-5)


def openr_tokenizer() -> Any:
    """Return a tokenizer as Qwen2.5's, in which a space and five newlines are one token."""
    import json

    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
    from transformers import Qwen2Tokenizer
    from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

    backend = Tokenizer(models.BPE())
    words = pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.pre_tokenizer = pre_tokenizers.Sequence([words, byte_level])
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    lines = [*public_models.MATH, "a \n\n\n\n\n b\n\n\n\n\nc + d - e"]
    backend.train_from_iterator(lines * 9, trainer)
    model = json.loads(backend.to_str())["model"]
    merges = [tuple(pair) for pair in model["merges"]]
    return Qwen2Tokenizer(vocab=model["vocab"], merges=merges)


def test_a_tag_with_white_space_of_its_own() -> None:
    """As OpenR's Math-psa: the tag is one token, a space and five newlines; labels are " +" and "
    -"."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from stepnav.core.errors import ConfigError
    from stepnav.core.requests import Score
    from tests.engine.small_models import poll_all

    tokenizer, tag = openr_tokenizer(), " \n\n\n\n\n"
    config = Qwen2Config(**public_models.small(len(tokenizer)))
    model = public_models.spread(Qwen2ForCausalLM(config), 3)
    openr = LabelTokens(tag=tag, good=" +", bad=" -", joiner=" ", before_tag="")
    backend = LocalReward.open(MATH_SHEPHERD, model, tokenizer, format=openr)
    problem = Problem("q", "1 + 1?")
    backend.submit(0, Score(Trajectory(problem, (Step("1 + 1 = 2"), Step("so 2\n")))))
    backend.submit(1, Score(Trajectory(problem, (Step("1 + 1 = 2"), Step(f"a{tag}b")))))
    answers = poll_all(backend, 2)
    ids = torch.tensor([tokenizer.encode(f"1 + 1? 1 + 1 = 2{tag} so 2{tag}")])
    labels = [tokenizer.encode(text)[0] for text in (" +", " -")]
    with torch.inference_mode():
        logits = model(ids).logits[0, ids[0] == tokenizer.encode(tag)[0]]
    expected = logits[:, labels].softmax(-1)[:, 0].tolist()
    assert [item.positive_prob for item in answers[0].items] == pytest.approx(expected, abs=1e-5)
    assert str(answers[1]).startswith("step 2 holds")
    for wrong in ("\n\n\n\n\n", tag):
        with pytest.raises(ConfigError, match='set before_tag to ""'):
            LocalReward.open(
                MATH_SHEPHERD, model, tokenizer, format=LabelTokens(tag=wrong, good=" +", bad=" -")
            )
    with pytest.raises(ConfigError, match="no single token for the step tag 'no tag'"):
        LocalReward.open(MATH_SHEPHERD, model, tokenizer, format=LabelTokens(tag="no tag"))


def test_an_added_separator_is_no_text_even_where_it_is_not_special() -> None:
    from stepnav.rewards.local.step_format import StepFormat, TrajectoryEncoder

    tokenizer = public_models.qwen_tokenizer()
    tokenizer.add_tokens(["<step>"])
    encoder = TrajectoryEncoder(tokenizer, StepFormat("<step>"))
    newlines = TrajectoryEncoder(tokenizer, StepFormat("\n"))
    problem = Problem("q", "1 + 1?")
    step = Trajectory(problem, (Step("One.\n\nTwo <step> more."),))
    with pytest.raises(BackendError, match="step 1 holds '<step>'"):
        encoder.encode(step)
    with pytest.raises(BackendError, match="the question holds '<step>'"):
        encoder.encode(Trajectory(Problem("q", "What is <step>?")))
    ids, ends = StepFormat("\n").encode(tokenizer, "1 + 1?", [step.steps[0].text, "3\n4"])
    both = Trajectory(problem, (*step.steps, Step("3\n4")))
    assert newlines.encode(both) == (
        ids,
        (newlines.encode(Trajectory(problem))[1][0], *(e + 1 for e in ends)),
    )


def test_small_probabilities_are_not_lost() -> None:
    """Float32 gives 0 below e^-104; these stay above it down to e^-700."""
    import torch

    (pair,) = PairProbs(0, 1)(torch.tensor([[-300.0, 200.0]]))
    assert 0 < pair[0] <= 1
    assert pair[2] == pytest.approx(7.12e-218, rel=1e-2)
    (value,) = ValueProbs(2.0)(torch.tensor([[600.0]]))
    assert value[0] == pytest.approx(5.15e-131, rel=1e-2)
    (classes,) = ClassProbs((1, 0, -1), 0.5)(torch.tensor([[100.0, 0.0, -50.0]]))
    assert classes[0] == pytest.approx(5.15e-131, rel=1e-2)
    assert classes[2] == 1.0
