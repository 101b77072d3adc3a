from __future__ import annotations

from pathlib import Path

import pytest

from stepnav.core.errors import ConfigError, DataError
from stepnav.mutate.origins import parse_ids, read_own
from stepnav.mutate.suite import read_suite

PROGRAM = "def double(x):\n    return 2 * x\n\ndef half(x):\n    return x / 2\n"

PASSING = {
    "asserts": "from program import double\nimport math\n\nassert double(2) == 4\n",
    "pytest": "from program import *\n\ndef test_a():\n    assert double(2) == 4\n\n"
    "def test_b():\n    for x in range(3):\n        assert double(x) == x + x\n",
    "check": "def check(candidate):\n    assert candidate(2) == 4\n    assert double(3) == 6\n",
}


def read(tests: str, program: str = PROGRAM) -> tuple[str, str]:
    return read_suite(program, tests, program_name="p.py", tests_name="t.py")


@pytest.mark.parametrize("kind", PASSING)
def test_each_kind_of_file_becomes_a_check(kind: str) -> None:
    text, entry = read(PASSING[kind])
    assert entry == "double"
    names: dict[str, object] = {"double": lambda x: 2 * x}
    exec(text, names)
    names["check"](lambda x: 2 * x)  # type: ignore[operator]
    if kind != "check":
        names["double"] = None  # the function under test is the proxy, not the reference
    with pytest.raises(AssertionError):
        names["check"](lambda x: 2 * x + 1)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("tests", "message"),
    [
        ("x = 1\n", "t.py holds no tests"),
        ("", "t.py holds no tests"),
        ("assert double(2 == 4\n", "t.py does not parse"),
        ("assert 1 + 1 == 2\n", "calls no function of it by name"),
        ("assert double(2) == 4\nassert half(4) == 2\n", "several functions of it .double, half"),
        ("class TestIt:\n    pass\n", "test class TestIt is not read"),
        ("def test_a(tmp_path):\n    assert double(1) == 2\n", "takes arguments"),
        ("async def test_a():\n    assert double(1) == 2\n", "is async"),
    ],
)
def test_files_that_cannot_be_read_are_one_clear_line(tests: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(tests)
    assert "\n" not in str(caught.value)


def test_own_programs_that_cannot_be_used_do_not_stop_the_others(tmp_path: Path) -> None:
    files = {"good.py": PROGRAM, "broken.py": "def f(:\n", "latin.py": None}
    for name, text in files.items():
        (tmp_path / name).write_bytes(b"# \xff\n" if text is None else text.encode())
    (tmp_path / "t.py").write_text(PASSING["asserts"])
    (tmp_path / "none.py").write_text("x = 1\n")
    programs = [tmp_path / name for name in ("good.py", "broken.py", "latin.py", "gone.py")]
    suites = [tmp_path / "t.py"] * 4
    references, refused = read_own([*programs, programs[0]], [*suites, tmp_path / "none.py"])
    assert [reference.task_id for reference in references] == ["good"]
    assert len(refused) == 4
    for line, word in zip(refused, ("does not parse", "not UTF-8", "cannot be read", "no tests")):
        assert word in line
    with pytest.raises(ConfigError, match="each --program needs one --tests"):
        read_own(programs, suites[:1])


def test_ids() -> None:
    ids, refused = parse_ids("601-603,12,975", 511, 974)
    assert ids == [601, 602, 603]
    assert len(refused) == 2
    assert "511-974 only" in refused[0]
    assert parse_ids(None, 511, 512) == ([511, 512], [])
    with pytest.raises(ConfigError, match="must read like"):
        parse_ids("6o1", 511, 974)
