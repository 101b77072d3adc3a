import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stepnav.tasks.programs import program_text as text


@pytest.mark.parametrize(
    ("body", "steps"),
    [
        ("    return 1", ["    return 1"]),
        ("    if a:\n        b\n\n    c\n\n", ["    if a:\n", "        b\n", "\n    c\n\n"]),
        ("    x = [\n1,\n]\n    y\n", ["    x = [\n1,\n]\n", "    y\n"]),
        ("    # why\n    x\n", ["    # why\n    x\n"]),
        (
            "    try:\n        a\n    except E:\n        b\n    else:\n        c\n",
            ["    try:\n", "        a\n", "    except E:\n        b\n", "    else:\n        c\n"],
        ),
        ("    s = '''\nq\n'''\n", ["    s = '''\nq\n'''\n"]),
        ("", []),
    ],
)
def test_a_step_is_a_statement_with_what_belongs_to_it(body: str, steps: list[str]) -> None:
    assert text.split_statements(body) == steps


@given(st.text(alphabet="ab:=([\"'#\n \\", max_size=40))
@example("def f(:\n x\ny")
@example("\x00\n")
def test_steps_join_to_the_text_whatever_it_is(body: str) -> None:
    assert "".join(text.split_statements(body)) == body


def test_what_only_waits_for_a_statement_is_read_once() -> None:
    began = time.process_time()
    parts = ["    x = (\n", "# \n" * 20_000]
    assert text.split_statements("".join(parts)) == parts
    assert text.split_statements("    x\n    case" + " " * 20_000)[0] == "    x\n"
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    "rest",
    [
        "\nprint(f(3))\n",
        "\ndef other(x):\n    return 2\n",
        "\nif __name__ == '__main__':\n    main()\n",
        "\n# test\n",
        "\nclass A: pass",
        "```\nThis function adds.",
    ],
)
def test_a_body_ends_where_the_first_column_begins(rest: str) -> None:
    assert text.cut_body("    x = 1\n    return x\n" + rest).rstrip() == "    x = 1\n    return x"


def test_a_body_keeps_what_only_looks_like_an_end() -> None:
    body = "    print(x)\n    # def\n    if x:\n        return 'class'\n"
    assert text.cut_body(body) == body


def test_canonical_bodies_ignore_layout_and_nothing_else() -> None:
    one = text.canonical_body("    if x==1 :\n      return( x )\n", "def f(x):")
    assert one == text.canonical_body("    if x == 1:  # one\n        return x", "def f(x):")
    assert one != text.canonical_body("    if x == 1:\n        return -x\n", "def f(x):")


@pytest.mark.parametrize(
    "body", ["    x = 1\n", "    return (\n", "return 1\n", "", "    return 1\nx = 2\n", "\x00"]
)
def test_what_is_no_returning_body_has_no_canonical_form(body: str) -> None:
    assert text.canonical_body(body, "def f(x):") is None


def test_deep_nesting_is_no_program_and_no_crash() -> None:
    deep = "    return " + "(" * 5000 + "1" + ")" * 5000
    assert text.canonical_body(deep, "def f():") is None
    assert text.canonical_body("    return " + "-" * 40_000 + "1", "def f():") is None
    assert not text.parses_so_far("x = 1\n" * 20_000)


@pytest.mark.parametrize(
    ("program", "wanted"),
    [
        ("def f(x):\n", True),
        ("def f(x):\n    for y in x:\n", True),
        ("def f(x):\n    try:\n        a = 1\n", True),
        ("def f(x):\n    a = (1,\n", True),
        ("def f(x):\n    '''abc\n", True),
        ("def f(x):\n    if x:\n        a\n    else:\n", True),
        ("def f(x):\n    x = = 1\n", False),
        ("def f(x):\n  if x:\n  return\n", False),
        ("def f(x):\n        y = 1\n    z = 2\n", False),
        ("def f(x):\n    x = 1\n    else:\n", False),
        ("def f(x):\n    a = 'abc\n", False),
        ("def f(x):\n    return x)\n", False),
    ],
)
def test_unfinished_is_not_wrong(program: str, wanted: bool) -> None:
    assert text.parses_so_far(program) is wanted


def test_whole_programs_and_fences() -> None:
    assert text.is_whole_program("\n\nimport re\n")
    assert not text.is_whole_program("    return 1\n")
    assert not text.is_whole_program("\n")
    answer = "Sure:\n```python\ndef f():\n    return 1\n```\nor\n```\nf()\n```"
    assert text.unfenced(answer) == "def f():\n    return 1"
    assert text.unfenced("    return 1\n") == "    return 1\n"
