from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from stepnav.core.errors import DataError
from stepnav.mutate.program.source import parse, split_lines
from stepnav.mutate.program.steps import split_steps

DATA = Path(__file__).parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"the benchmark files are not at {DATA}")

CASES = [
    (
        'import re\n\n"""Not the module\'s docstring."""\n',
        "import re\n",
        ['\n"""Not the module\'s docstring."""\n'],
    ),
    (
        'def f(x):\n    """Doc."""\n\n    # why\n    y = x\n    return y\n',
        'def f(x):\n    """Doc."""\n',
        ["\n    # why\n    y = x\n", "    return y\n"],
    ),
    (
        (
            "def f(x):\n  if x:\n    return 1\n  elif x is None:\n    pass\n  else:\n    # no\n   "
            " return 2\n"
        ),
        "def f(x):\n",
        [
            "  if x:\n",
            "    return 1\n",
            "  elif x is None:\n",
            "    pass\n",
            "  else:\n    # no\n    return 2\n",
        ],
    ),
    (
        "def f(x):\n  try:\n    g()\n  except E:\n    a = 1\n  finally:\n    b = 2\n",
        "def f(x):\n",
        ["  try:\n", "    g()\n", "  except E:\n    a = 1\n", "  finally:\n    b = 2\n"],
    ),
    (
        "def f(x): return x\n",
        "",
        ["def f(x): return x\n"],
    ),
    (
        "def f(x):\n  if (x and\n      # both\n      y):\n    a = 1; b = 2\n  return a",
        "def f(x):\n",
        ["  if (x and\n      # both\n      y):\n", "    a = 1; b = 2\n", "  return a"],
    ),
    (
        'R = 3\n@cache\ndef f(x):\n  """Doc."""\n  return R\n# end\n',
        "",
        ["R = 3\n", '@cache\ndef f(x):\n  """Doc."""\n', "  return R\n# end\n"],
    ),
    (
        "def f(x):\r\n\tfor i in x:\r\n\t\tprint(i)\r\n",
        "def f(x):\r\n",
        ["\tfor i in x:\r\n", "\t\tprint(i)\r\n"],
    ),
    (
        "def f(x):\n  match x:\n    case 1:\n      return 2\n    case _:\n      return 3\n",
        "def f(x):\n",
        ["  match x:\n", "    case 1:\n      return 2\n", "    case _:\n      return 3\n"],
    ),
    ("# nothing\n", "# nothing\n", []),
]


@pytest.mark.parametrize(("text", "prompt", "steps"), CASES)
def test_cut(text: str, prompt: str, steps: list[str]) -> None:
    split = split_steps(parse(text))
    assert split.prompt == prompt
    assert list(split.steps) == steps


def test_a_character_is_found_in_its_step() -> None:
    split = split_steps(parse("def f(x):\n    y = 1\n    return y\n"))
    text = split.prompt + "".join(split.steps)
    assert split.step_at(text.index("x")) is None
    assert split.step_at(text.index("1")) == 0
    assert split.step_at(len(text) - 1) == 1
    assert split.start(1) == text.index("    return")


def test_lines_are_those_of_the_tokenizer() -> None:
    text = "a = 'x\x0cy\u2028z'\r\nb = 2\rc = 3"
    assert split_lines(text) == ["a = 'x\x0cy\u2028z'\r\n", "b = 2\r", "c = 3"]


def test_columns_are_characters() -> None:
    source = parse("x = 'äöü' + y\n")
    assert source.segment(source.tree.body[0].value.right) == "y"  # type: ignore[attr-defined]


@pytest.mark.parametrize("text", ["def f(:\n", "x = 1\n  y = 2\n", "\x00", "return 1\n"])
def test_what_does_not_parse_is_one_clear_line(text: str) -> None:
    with pytest.raises(DataError, match=r"my\.py does not parse") as caught:
        parse(text, "my.py")
    assert "\n" not in str(caught.value)


@needs_data
@pytest.mark.realdata
def test_every_reference_is_its_prompt_and_steps() -> None:
    texts = []
    with gzip.open(DATA / "mbpp" / "mbpp.jsonl.gz", "rt", encoding="utf-8") as file:
        texts += [json.loads(line)["code"] for line in file]
    with gzip.open(DATA / "humaneval" / "HumanEval.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
        texts += [row["prompt"] + row["canonical_solution"] for row in rows]
    assert len(texts) == 974 + 164
    for text in texts:
        split = split_steps(parse(text))
        assert split.prompt + "".join(split.steps) == text
        assert split.steps
        assert all(step.strip() for step in split.steps)
