from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepnav.tasks.arithmetic import problems as arithmetic
from stepnav.tasks.micro_python import problems as micro_python
from stepnav.zoo.arithmetic import DOMAIN
from stepnav.zoo.language import reference_pairs
from stepnav.zoo.tokenizer import CODE_PATTERN, train_tokenizer

TOKENIZER = train_tokenizer(
    (a + b for a, b in reference_pairs(DOMAIN, 500, seed=0)), vocab_size=1024
)


def ids(text: str) -> list[int]:
    return TOKENIZER(text, add_special_tokens=False)["input_ids"]  # type: ignore[no-any-return]


@given(st.text())
@settings(deadline=None)
def test_any_text_survives(text: str) -> None:
    assert TOKENIZER.decode(ids(text)) == text


@pytest.mark.parametrize("text", ["123", "24 + 15 = 39 marbles", "#### 1305", "7\n8"])
def test_every_digit_is_a_token_of_its_own(text: str) -> None:
    tokens: list[Any] = [TOKENIZER.decode([number]) for number in ids(text)]
    assert [token for token in tokens if any(c.isdigit() for c in token)] == [
        c for c in text if c.isdigit()
    ]


def test_a_newline_is_a_token_of_its_own_so_steps_can_be_tokenised_one_by_one() -> None:
    problem = arithmetic.load("dev", 1)[0]
    steps = arithmetic.solve(problem.id)
    assert len(ids("\n")) == 1
    assert ids(problem.question + "\n" + "".join(steps)) == ids(problem.question + "\n") + [
        token for step in steps for token in ids(step)
    ]


def test_bos_comes_first_by_default() -> None:
    assert TOKENIZER("a")["input_ids"][0] == TOKENIZER.bos_token_id
    assert {TOKENIZER.bos_token, TOKENIZER.eos_token, TOKENIZER.pad_token} == {
        "<s>",
        "</s>",
        "<pad>",
    }


def test_code_has_indentation_digits_and_newlines_of_its_own() -> None:
    code = "    for x in xs[::2]:\n        if x >= 12:\n            x //= 3\n    return total\n"
    tokenizer = train_tokenizer([code] * 4, vocab_size=400, pattern=CODE_PATTERN)
    ids = tokenizer(code, add_special_tokens=False)["input_ids"]
    pieces = [tokenizer.decode([token]) for token in ids]
    assert "".join(pieces) == tokenizer.decode(ids) == code
    assert pieces.count("    ") == 1 + 2 + 3 + 1
    assert pieces.count("\n") == 4
    assert [piece for piece in pieces if piece.strip().isdigit()] == ["2", "1", "2", "3"]
    assert {" >= ", " //= "} <= set(pieces)


def test_steps_of_code_can_be_tokenised_one_by_one() -> None:
    names = [f"micro-python-dev-0-{index}" for index in range(30)]
    texts = [
        micro_python.question_of(name) + "\n" + "".join(micro_python.solve(name)) for name in names
    ]
    tokenizer = train_tokenizer(texts, vocab_size=600, pattern=CODE_PATTERN)

    def ids_of(text: str) -> list[int]:
        return tokenizer(text, add_special_tokens=False)["input_ids"]  # type: ignore[no-any-return]

    for name, text in zip(names, texts):
        parts = [micro_python.question_of(name) + "\n", *micro_python.solve(name)]
        assert ids_of(text) == [token for part in parts for token in ids_of(part)]
        assert tokenizer.decode(ids_of(text)) == text
