from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from stepnav import build
from stepnav.core.errors import DataError
from stepnav.core.records import Problem
from stepnav.policies.splitting import fill
from stepnav.tasks.programs import humaneval
from stepnav.tasks.programs.program_text import parses_so_far, split_statements

DATA = Path(__file__).parents[3] / "shared" / "data" / "humaneval"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"the HumanEval file is not at {DATA}")

PROMPT = '''import math


def area(r):
    """ Return the area.
    >>> area(0)
    0
    >>> area(1) > 3
    True
    >>> print(area(2))
    12.56
    """
'''
ROW = {
    "task_id": "HumanEval/7",
    "prompt": PROMPT,
    "entry_point": "area",
    "canonical_solution": "    return math.pi * r * r\n",
    "test": "def check(candidate):\n    assert candidate(0) == 0\n",
}


def write(path: Path, *rows: dict) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_problem_of_a_plain_file(tmp_path: Path) -> None:
    (problem,) = humaneval.load(path=write(tmp_path / "HumanEval.jsonl", ROW))
    assert (problem.id, problem.question) == ("humaneval-7", PROMPT)
    assert humaneval.load(path=tmp_path) == [problem]
    assert problem.metadata["public"] == ["assert area(0) == 0"]
    assert humaneval.names_of(problem) == ("HumanEval/7", "humaneval-7")
    test = humaneval.suite_of(problem)
    assert test is not None
    assert (test.style, test.entry_point, test.test) == ("humaneval", "area", ROW["test"])
    public = humaneval.suite_of(problem, public=True)
    assert public is not None
    assert (public.style, public.test) == ("mbpp", "assert area(0) == 0")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test": ""}, "field 'test' must be text"),
        ({"entry_point": "volume"}, "does not define 'volume'"),
        ({"prompt": 3}, "field 'prompt' must be text"),
    ],
)
def test_broken_rows_are_named(tmp_path: Path, change: dict, message: str) -> None:
    path = write(tmp_path / "f.jsonl", ROW, {**ROW, **change})
    with pytest.raises(DataError, match=f"line 2: .*{message}"):
        humaneval.load(path=path)


BODY = "    x = r * r\n    return x\n"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (BODY, BODY),
        (BODY + "\n\nprint(area(3))\n", BODY),
        (BODY + "\ndef other():\n    return 1\n", BODY),
        ("    x = 1\n", None),
        ("    return (\n", None),
        ("", None),
        (
            "```python\nimport math\n\ndef area(r):\n    return 1\n```",
            "import math\n\ndef area(r):\n    return 1\n",
        ),
    ],
)
def test_extract(text: str, answer: str | None) -> None:
    assert humaneval.extract(text) == answer


def test_split_stops_at_the_end_of_the_function() -> None:
    assert humaneval.split(BODY + "\nprint(area(2))\n") == ["    x = r * r\n", "    return x\n\n"]


def test_programs_of_answers() -> None:
    problem = Problem("p", PROMPT)
    assert humaneval.program_of(problem, BODY) == PROMPT + BODY
    whole = "def area(r):\n    return 1\n"
    assert humaneval.program_of(problem, whole) == "import math\n\n\n" + whole
    assert humaneval.after_prompt(problem, "return 1") == PROMPT + "return 1"


@pytest.mark.parametrize(
    ("step", "is_end"),
    [
        ("    return x\n", True),
        ("\n    return x\n", True),
        ("\treturn\n", True),
        ("        return x\n", False),
        ("    returned = 1\n", False),
        ("    if x:\n", False),
        ("def other():\n", True),
        ("\nprint(1)\n", True),
        ("# done\n", True),
        ("    # done\n", False),
        ("    return [\n", False),
        ("    return f(x,\n", False),
        ("    return (a) + (b\n", False),
        ("    return a + \\\n", False),
        ('    return """a\n', False),
        ("    return f(x, [y[0]])  # (done\n", True),
        ('    return s.replace("(", "")\n', True),
    ],
)
def test_the_step_that_ends_a_body(step: str, is_end: bool) -> None:
    assert bool(re.search(humaneval.ANSWER_PATTERN, step)) is is_end


CHAT_ANSWER = "def concatenate(strings: List[str]) -> str:\n    return ''.join(strings)\n"


@pytest.mark.realdata
@needs_data
def test_a_whole_program_runs_after_the_prompts_imports_and_helpers() -> None:
    task = build.load_task("humaneval")
    problems = {problem.id: problem for problem in task.load("test", None, 0, DATA)}
    problem = problems["humaneval-28"]
    answer = task.extract(f"Sure:\n```python\n{CHAT_ANSWER}```\n")
    assert task.grade(problem, answer) is True
    future = "from __future__ import annotations\n\n" + CHAT_ANSWER
    assert task.grade(problem, future) is True
    for problem in problems.values():
        assert problem.answer is not None
        header = f"def {problem.metadata['entry_point']}("
        own = header + problem.question.rpartition(header)[2] + problem.answer
        assert humaneval.program_of(problem, own) == problem.question + problem.answer


def test_a_base_model_is_shown_the_prompt_without_its_last_line_break() -> None:
    assert fill(humaneval.PROMPT_TEMPLATE, PROMPT) == PROMPT.strip()
    assert humaneval.extract("\n" + BODY) == "\n" + BODY


@pytest.mark.realdata
@needs_data
def test_the_official_file() -> None:
    problems = humaneval.load(path=DATA)
    assert len(problems) == 164
    for problem in problems:
        assert problem.answer is not None
        answer = humaneval.extract(problem.answer)
        assert answer == problem.answer.rstrip() + "\n"
        steps = split_statements(problem.answer)
        assert "".join(steps) == problem.answer
        program = problem.question
        for step in steps:
            assert parses_so_far(program), program
            program += step
        lines = problem.answer.splitlines(keepends=True)
        ends = [n for n, line in enumerate(lines) if re.search(humaneval.ANSWER_PATTERN, line)]
        assert not "".join(lines[ends[0] + 1 :] if ends else []).strip()
    with_examples = [problem for problem in problems if problem.metadata["public"]]
    assert len(with_examples) == 53
