from __future__ import annotations

import json
from pathlib import Path

import pytest

from stepnav.core.errors import ConfigError, DataError
from stepnav.tasks.programs import mbpp
from stepnav.tasks.programs.program_text import split_statements

DATA = Path(__file__).parents[3] / "shared" / "data" / "mbpp"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"the MBPP file is not at {DATA}")


def row(task_id: int, **change: object) -> dict:
    return {
        "text": "Write a function to double.",
        "code": "def half(x):\r\n  return x / 2\r\ndef double(x):\r\n  return 2 * x",
        "task_id": task_id,
        "test_setup_code": "",
        "test_list": ["assert double(2) == 4", "assert double(half(3)) == 3"],
        "challenge_test_list": [],
        **change,
    }


def write(path: Path, *rows: dict) -> Path:
    path.write_text("".join(json.dumps(item) + "\n" for item in rows))
    return path


def test_splits_are_ranges_of_task_ids(tmp_path: Path) -> None:
    path = write(tmp_path / "mbpp.jsonl", *map(row, (2, 11, 510, 511, 601, 974)))
    found = {split: [p.id for p in mbpp.load(split, path=path)] for split in mbpp.ID_RANGES}
    assert found == {
        "train": ["mbpp-601", "mbpp-974"],
        "validation": ["mbpp-511"],
        "test": ["mbpp-11", "mbpp-510"],
        "prompt": ["mbpp-2"],
    }
    assert mbpp.make_task("process").load("test", None, 0, path) == mbpp.load("test", path=path)
    assert len(mbpp.load("test", 1, path=path)) == 1
    with pytest.raises(ConfigError, match="no split 'dev'"):
        mbpp.load("dev", path=path)


def test_a_problem(tmp_path: Path) -> None:
    (problem,) = mbpp.load(path=write(tmp_path / "f.jsonl", row(11, test_setup_code="n = 1\r\n")))
    assert problem.question.splitlines() == ["Write a function to double.", *row(11)["test_list"]]
    assert "\r" not in str(problem.answer)
    test, public = mbpp.suite_of(problem), mbpp.suite_of(problem, public=True)
    assert test is not None and public is not None
    assert (test.entry_point, test.setup, test.style) == ("double", "n = 1\n", "mbpp")
    assert test.test.count("assert") == 2
    assert public.test == "assert double(2) == 4"
    assert mbpp.names_of(problem) == ("Mbpp/11", "MBPP/11", "11", "mbpp-11")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test_list": []}, "holds no test"),
        ({"test_list": "assert double(1)"}, "must be a list of texts"),
        ({"test_list": ["assert 1 == 1"]}, "calls nothing that field 'code' defines"),
        ({"task_id": "11"}, "must be a whole number"),
    ],
)
def test_broken_rows_are_named(tmp_path: Path, change: dict, message: str) -> None:
    path = write(tmp_path / "f.jsonl", row(11), {**row(12), **change})
    with pytest.raises(DataError, match=f"line 2: .*{message}"):
        mbpp.load(path=path)


def test_extract() -> None:
    program = "import re\n\ndef f(x):\n    return 1\n"
    assert mbpp.extract(program + "\nassert f(1) == 1\n") == program
    assert mbpp.extract(program + '"""\nWrite another') == program
    assert mbpp.extract("```python\n" + program + "```") == program
    assert mbpp.extract("x = 1\n") is None
    assert mbpp.extract("def f(:\n") is None


@pytest.mark.parametrize(
    "program",
    [
        '"""Doubles."""\n\ndef f(x):\n    return 2 * x\n',
        '"""\nDoubles.\n"""\n\ndef f(x):\n    return 2 * x\n',
        '# ours\n\n"""Doubles.\n\nprint nothing\n"""\ndef f(x):\n    return 2 * x\n',
    ],
)
def test_the_docstring_of_a_program_is_not_its_end(program: str) -> None:
    assert mbpp.extract(program) == program
    assert mbpp.extract(program + '"""\nWrite another') == program
    assert "".join(mbpp.split(program + "\nassert f(1) == 2\n")).rstrip() == program.rstrip()
    for text in (f"```python\n{program}```", f"So:\n```py\n{program}```\nassert me", program):
        assert mbpp.extract(text) == program
    assert mbpp.extract(f"```python\n{program}print(f(1))\n") == program, "no fence closes it"


def test_a_closed_block_is_the_whole_program() -> None:
    program = "def g(x):\n    return x\nprint('loaded')\ndef f(x):\n    return g(x)\n"
    assert mbpp.extract(f"```python\n{program}```\nprint(f(1))") == program
    text = 'HELP = """\n"""\nassert HELP\ndef f(x):\n    return HELP\n'
    assert mbpp.extract(f"```\n{text}```") == text


@pytest.mark.realdata
@needs_data
def test_the_official_file() -> None:
    sizes = {split: len(mbpp.load(split, path=DATA)) for split in mbpp.ID_RANGES}
    assert sizes == {"train": 374, "validation": 90, "test": 500, "prompt": 10}
    for split in mbpp.ID_RANGES:
        for problem in mbpp.load(split, path=DATA):
            assert problem.answer is not None
            assert mbpp.extract(problem.answer) is not None
            assert "".join(split_statements(problem.answer)) == problem.answer
