from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stepnav.core.errors import ConfigError
from stepnav.mutate.origins import parse_ids, read_own
from stepnav.mutate.reference import Reference
from stepnav.sandbox.judge import judge_problem
from stepnav.sandbox.pool import Sandbox
from stepnav.sandbox.records import Suite
from stepnav.tasks.inputs.calls import known_calls

PROGRAM = """
import math

LIMIT = 3


# never more
def clamp(x):
    y = min(x, LIMIT)
    return max(y, -LIMIT)


def encode(text, shift=1):
    return "".join(chr(ord(c) + shift) for c in text)


def decode(text, shift=1):
    return encode(text, -shift)


class Point:
    def __init__(self, x):
        self.x = x


def norm(point):
    return abs(point.x)


def root(x):
    if x < 0:
        raise ValueError("negative")
    return math.sqrt(x)


def unused():
    return 1


if __name__ == "__main__":
    print(clamp(3))
"""

HEAD = "import pytest\nimport unittest\nfrom package import program\nfrom program import *\n"


def own(
    tmp_path: Path, tests: str, program: str = PROGRAM, **options: Any
) -> tuple[dict[str, Reference], str, str]:
    """Return the references by function, the refused ones and the tests left out."""
    (tmp_path / "program.py").write_text(program)
    (tmp_path / "test_program.py").write_text(tests)
    references, refused, left_out = read_own(
        [tmp_path / "program.py"], [tmp_path / "test_program.py"], level="unsafe", **options
    )
    by_name = {reference.entry_point: reference for reference in references}
    return by_name, "\n".join(refused), "\n".join(left_out)


def status(reference: Reference, change: tuple[str, str] = ("", "")) -> str:
    problem = Suite(reference.test, reference.entry_point, reference.style, reference.source)
    with Sandbox("unsafe") as sandbox:
        assert change[0] in reference.source
        return judge_problem(sandbox, problem, reference.source.replace(*change)).status


MIN = ("min(x, LIMIT)", "min(x, LIMIT + 1)")
"""A change that tests of `clamp` beyond the limit find."""

KINDS = {
    "asserts": "from program import clamp\nassert clamp(2) == 2\nassert clamp(9) == 3\n",
    "function": "def test_a():\n    for x in range(9):\n        assert clamp(x) == min(x, 3)\n",
    "module": "import program as p\ndef test_a():\n    assert p.clamp(9) == 3\n",
    "other name": "from program import clamp as c\ndef test_a():\n    assert c(9) == 3\n",
    "import inside": "def test_a():\n    from .program import clamp\n    assert clamp(9) == 3\n",
    "helper": "def f(x):\n    return clamp(x)\ndef test_a():\n    assert f(9) == 3\n",
    "parametrize": HEAD + "@pytest.mark.parametrize('x, y', [(1, 1), (9, 3)])\n"
    "def test_a(x, y):\n    assert program.clamp(x) == y\n",
    "two tables": HEAD + "@pytest.mark.parametrize('x', [8, 9])\n"
    "@pytest.mark.parametrize(['y'], [(3,)], ids=str)\n"
    "def test_a(x, y):\n    assert clamp(x) == y\n",
    "param": HEAD + "@pytest.mark.slow\n@pytest.mark.parametrize('x', [pytest.param(9, id='b'), "
    "pytest.param(2, marks=pytest.mark.xfail)])\ndef test_a(x):\n    assert clamp(x) == 3\n",
    "fixture": HEAD + "@pytest.fixture(name='nine')\ndef make(one):\n    yield 8 + one\n"
    "@pytest.fixture\ndef one():\n    return 1\n"
    "def test_a(nine, one, top=3):\n    assert (clamp(nine), one) == (top, 1)\n",
    "autouse": HEAD + "seen = []\n@pytest.fixture(autouse=True)\ndef put():\n    seen.append(9)\n"
    "def test_a():\n    assert clamp(seen[-1]) == 3\n",
    "class": HEAD + "@pytest.mark.parametrize('x', [9])\nclass TestA:\n"
    "    def setup_method(self):\n        self.y = 3\n"
    "    def test_a(self, x):\n        assert clamp(x) == self.y\n",
    "unittest": HEAD + "class A(unittest.TestCase):\n    def setUp(self):\n        self.y = 3\n"
    "    def test_a(self):\n        with self.subTest(x=9):\n"
    "            self.assertEqual(clamp(9), self.y)\n",
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_file_tells_right_from_wrong(tmp_path: Path, kind: str) -> None:
    references, refused, left_out = own(tmp_path, KINDS[kind])
    assert (list(references), refused) == (["clamp"], "")
    assert "left out" not in left_out and "no test that can be run uses encode" in left_out
    assert references["clamp"].source == PROGRAM, "one function alone keeps its module"
    assert status(references["clamp"]) == "passed"
    assert status(references["clamp"], MIN) == "failed"


NEGATIVE = ("x < 0", "x < -5")
"""A change after which `root` raises no error."""


@pytest.mark.parametrize(
    "body",
    [
        "with pytest.raises(ValueError):\n        root(-1)\n",
        "try:\n        root(-1)\n    except ValueError:\n        return\n"
        "    pytest.fail('no error')\n",
    ],
)
def test_an_error_that_is_not_raised_any_more_is_found(tmp_path: Path, body: str) -> None:
    program = PROGRAM.replace("math.sqrt(x)", "math.sqrt(abs(x))")
    tests = f"{HEAD}def test_root():\n    {body}"
    (reference,) = own(tmp_path, tests, program)[0].values()
    assert status(reference) == "passed"
    assert status(reference, NEGATIVE) == "failed"


def test_each_function_is_a_program_with_what_it_needs(tmp_path: Path) -> None:
    tests = (
        "from program import *\n"
        "def test_round():\n    assert decode(encode('ab', 3), 3) == 'ab'\n"
        "def test_clamp():\n    assert clamp(9) == 3\n    assert encode('a') == 'b'\n"
        "def test_root():\n    assert root(4) == 2\n"
    )
    references, refused, _ = own(tmp_path, tests)
    assert (list(references), refused) == (["clamp", "encode", "decode", "root"], "")
    assert references["clamp"].task_id == "program.clamp"
    clamp = PROGRAM[PROGRAM.index("LIMIT") : PROGRAM.index("\n\ndef encode")]
    assert references["clamp"].source == clamp
    assert references["root"].source.startswith("import math\n\n\ndef root(x):")
    assert references["decode"].source.count("def ") == 2
    assert references["encode"].source.count("def ") == 1
    assert [status(one) for one in references.values()] == ["passed"] * 4
    assert status(references["encode"], ("+ shift", "+ 1")) == "failed", "decode is the reference's"
    assert status(references["decode"], ("-shift", "-1")) == "failed"


GCD = "def gcd(a, b):\n    while b:\n        a, b = b, a % b\n    return abs(a)\n"
ORACLES = {
    "standard library": "from program import gcd\nfrom math import gcd as oracle\n",
    "no import of the program": "from math import gcd as oracle\n",
    "inside a test": "from program import gcd\ndef oracle(a, b):\n    from math import gcd\n"
    "    return gcd(a, b)\n",
    "another module": "from program import gcd\nfrom folder_slow import gcd as oracle\n",
    "everything": "from program import gcd\nfrom folder_slow import *\noracle = slow\n",
    "the bare name": "import program\nfrom math import gcd\noracle = gcd\n"
    "def gcd_of(a, b):\n    return program.gcd(a, b)\n",
    "a name for the program": "import program as p\nfrom folder_slow import gcd as oracle\n"
    "gcd = p.gcd\n",
}


@pytest.mark.parametrize("kind", ORACLES)
def test_an_oracle_of_the_same_name_stays_what_it_is(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder_slow.py").write_text("from math import gcd\nslow = gcd\n")
    monkeypatch.syspath_prepend(tmp_path)
    call = "gcd_of" if "gcd_of" in ORACLES[kind] else "gcd"
    tests = f"{ORACLES[kind]}def test_a():\n    assert {call}(12, 18) == oracle(12, 18)\n"
    references, refused, _ = own(tmp_path, tests, GCD)
    assert (list(references), refused) == (["gcd"], "")
    assert status(references["gcd"]) == "passed"
    assert status(references["gcd"], ("a % b", "a // b")) == "failed"


@pytest.mark.parametrize(
    "line",
    [
        "from folder.package import gcd as g",
        "from package import gcd as g",
        "from .. import gcd as g",
        "from anywhere import gcd\ng = gcd",
        "from anywhere import *\ng = gcd",
        "import math, program\ng = program.gcd",
        "import package.program as p\ng = p.gcd",
    ],
)
def test_a_package_may_hand_on_the_names_of_the_program(tmp_path: Path, line: str) -> None:
    folder = tmp_path / "folder" / "package"
    folder.mkdir(parents=True)
    (folder / "program.py").write_text(GCD)
    (tmp_path / "test_it.py").write_text(f"{line}\ndef test_a():\n    assert g(12, 18) == 6\n")
    (reference,), refused, left_out = read_own(
        [folder / "program.py"], [tmp_path / "test_it.py"], level="unsafe"
    )
    assert (refused, left_out) == ([], [])
    assert status(reference, ("a % b", "a // b")) == "failed"


def test_a_program_may_have_the_name_of_its_function(tmp_path: Path) -> None:
    (tmp_path / "gcd.py").write_text(GCD)
    tests = "from gcd import gcd\nfrom math import gcd as oracle\nassert gcd(12, 18) == {}\n"
    (tmp_path / "test_gcd.py").write_text(tests.format("oracle(12, 18)"))
    (tmp_path / "test_package.py").write_text(
        f"from {tmp_path.name} import gcd as g\nassert g(12, 18) == g.gcd(12, 18) == 6\n"
    )
    for name in ("test_gcd.py", "test_package.py"):
        (reference,), refused, _ = read_own(
            [tmp_path / "gcd.py"], [tmp_path / name], level="unsafe"
        )
        assert refused == []
        assert status(reference, ("a % b", "a // b")) == "failed"


TABLES = {
    "items": "for key in range(50):\n    TABLE[key] = 2 * key\n",
    "one item": "TABLE[4] = double(4)\n",
    "sums": "for key in range(50):\n    TABLE[key] = key\n    TABLE[key] += key\n",
    "method": "for key in range(50):\n    TABLE.setdefault(key, 2 * key)\n",
    "method on top": "TABLE.update({4: double(4)})\n",
    "argument": "for key in range(50):\n    put(TABLE, key)\n",
    "function": "def fill():\n    for key in range(50):\n        TABLE[key] = 2 * key\nfill()\n",
    "global": "def fill():\n    global TABLE\n    TABLE = {4: 8}\nfill()\n",
    "decorator": "def put_in(key):\n    def keep(f):\n        TABLE[key] = f(key)\n"
    "        return f\n    return keep\n@put_in(4)\ndef value(x):\n    return double(x)\n",
    "condition": "if LEAST < 4:\n    TABLE[4] = 8\n",
    "loop": "while len(TABLE) < 5:\n    TABLE[len(TABLE)] = 2 * len(TABLE)\n",
}


@pytest.mark.parametrize("kind", TABLES)
def test_what_fills_a_table_that_a_function_needs_is_kept(tmp_path: Path, kind: str) -> None:
    program = (
        "LEAST = 3\nTABLE = {}\nOTHER = {}\n"
        "def double(x):\n    return 2 * x\n"
        "def put(table, key):\n    table[key] = 2 * key\n"
        f"{TABLES[kind]}"
        "for other in range(9):\n    OTHER[other] = 0\nprint(len(OTHER))\n"
        "def look(x):\n    return TABLE[x]\n"
        "def rest(x):\n    return OTHER[x]\n"
        "if __name__ == '__main__':\n    TABLE.update(OTHER)\n"
    )
    tests = "from program import *\ndef test_a():\n    assert look(4) == 8\n"
    tests += "def test_b():\n    assert rest(4) == 0\n"
    references, refused, left_out = own(tmp_path, tests, program)
    assert (list(references), refused) == (["look", "rest"], "")
    assert "not for" not in left_out
    assert [status(one) for one in references.values()] == ["passed", "passed"]
    assert "OTHER" not in references["look"].source
    assert "TABLE" not in references["rest"].source


def test_a_decorator_with_a_table_of_its_own_needs_no_other_function(tmp_path: Path) -> None:
    program = (
        "def kept(f):\n    found = {}\n    def g(x):\n        found[x] = f(x)\n"
        "        return found[x]\n    return g\n"
        "@kept\ndef one(x):\n    return x\n@kept\ndef two(x):\n    return 2 * x\n"
    )
    tests = "from program import *\nassert one(3) == 3\n"
    tests += "def test_two():\n    assert two(3) == 6\n"
    references, _, _ = own(tmp_path, tests, program)
    assert "def two" not in references["one"].source
    assert "def one" not in references["two"].source


def test_functions_that_are_named(tmp_path: Path) -> None:
    tests = "from program import *\nassert clamp(9) == 3\nassert root(4) == 2\n"
    assert list(own(tmp_path, tests, functions=["root"])[0]) == ["root"]
    assert "no test that can be run uses norm" in own(tmp_path, tests, functions=["norm"])[1]
    with pytest.raises(ConfigError, match=r"no program defines it \(did you mean 'root'"):
        own(tmp_path, tests, functions=["rot"])


@pytest.mark.parametrize(
    ("test", "reason"),
    [
        ("async def test_b():\n    assert clamp(1) == 1\n", "test_b: it is async"),
        (
            "def test_b(tmp_path):\n    assert clamp(1) == 1\n",
            "test_b: the fixture tmp_path is not",
        ),
        ("@pytest.mark.skip\ndef test_b():\n    assert clamp(1)\n", "test_b: it is marked skip"),
        ("@pytest.mark.xfail(True)\ndef test_b():\n    assert clamp(1)\n", "it is marked xfail"),
        ("@given(1)\ndef test_b(x):\n    assert clamp(x)\n", "its decorator given(1) is not known"),
        (
            "@pytest.mark.parametrize('x', [1], indirect=True)\ndef test_b(x):\n    clamp(x)\n",
            "is not known",
        ),
        (
            "@pytest.fixture(params=[1])\ndef p():\n    pass\ndef test_b(p):\n    clamp(1)\n",
            "the fixture p is not in the file, or has params",
        ),
        (
            "class B(unittest.TestCase):\n    @unittest.skip('no')\n    def test_b(self):\n"
            "        clamp(1)\n",
            "B::test_b: it is marked skip",
        ),
        ("def test_b():\n    assert clamp(1) == 2\n", "test_b: not for clamp: the reference fails"),
        (
            "def test_b():\n    clamp(1)\n    pytest.skip('no data')\n",
            "test_b: not for clamp: it skips itself (no data)",
        ),
        (
            "class B(unittest.TestCase):\n    def test_b(self):\n        clamp(1)\n"
            "        self.skipTest('no data')\n",
            "B::test_b: not for clamp: it skips itself (no data)",
        ),
        ("import nowhere\ndef test_b():\n    clamp(1)\n", "No module named 'nowhere'"),
        ("def test_b():\n    assert clamp(Ellipsis)\n", "passes a value of type 'ellipsis'"),
    ],
)
def test_a_test_that_cannot_be_run_is_left_out_and_says_why(
    tmp_path: Path, test: str, reason: str
) -> None:
    good = "def test_a():\n    assert clamp(9) == 3\n"
    references, refused, left_out = own(tmp_path, HEAD + test + good)
    assert reason in left_out
    if "nowhere" in test:
        assert "no test of clamp can be used" in refused
    else:
        assert status(references["clamp"]) == "passed"
        assert status(references["clamp"], MIN) == "failed"


def test_the_calls_of_tests_are_models_for_further_inputs(tmp_path: Path) -> None:
    tests = HEAD + "@pytest.mark.parametrize('n', range(3))\ndef test_a(n):\n    clamp(10 * n)\n"
    (reference,) = own(tmp_path, tests)[0].values()
    assert reference.examples.splitlines() == ["clamp(0)", "clamp(10)", "clamp(20)"]
    assert len(known_calls([reference.test, reference.examples], ["clamp"])) == 3


def test_pytest_need_not_be_installed_for_decorators_alone(tmp_path: Path) -> None:
    (reference,) = own(tmp_path, KINDS["fixture"])[0].values()
    assert "pytest" not in reference.test
    (reference,) = own(tmp_path, KINDS["param"])[0].values()
    assert "import pytest" in reference.test


def test_a_file_with_its_own_check(tmp_path: Path) -> None:
    tests = "def check(candidate):\n    assert candidate(9) == 3\n    assert clamp(3) == 3\n"
    (reference,) = own(tmp_path, tests)[0].values()
    assert (reference.entry_point, reference.test) == ("clamp", tests)
    assert status(reference, MIN) == "failed"
    message = own(tmp_path, tests + "    assert root(4) == 2\n")[1]
    assert "must test one function" in message and "clamp, root" in message


@pytest.mark.parametrize(
    ("tests", "message"),
    [
        ("x = 1\n", "test_program.py holds no tests"),
        ("", "test_program.py holds no tests"),
        ("assert clamp(2 == 4\n", "test_program.py does not parse"),
        ("assert 1 + 1 == 2\n", "no test that can be run uses anything of"),
    ],
)
def test_files_that_cannot_be_read_are_one_clear_line(
    tmp_path: Path, tests: str, message: str
) -> None:
    references, refused, _ = own(tmp_path, tests)
    assert references == {}
    assert message in refused
    assert "\n" not in refused


def test_own_programs_that_cannot_be_used_do_not_stop_the_others(tmp_path: Path) -> None:
    files = {"good.py": PROGRAM, "broken.py": "def f(:\n", "latin.py": None}
    for name, text in files.items():
        (tmp_path / name).write_bytes(b"# \xff\n" if text is None else text.encode())
    (tmp_path / "t.py").write_text(KINDS["asserts"])
    (tmp_path / "none.py").write_text("x = 1\n")
    programs = [tmp_path / name for name in ("good.py", "broken.py", "latin.py", "gone.py")]
    suites = [tmp_path / "t.py"] * 4
    references, refused, _ = read_own(
        [*programs, programs[0]], [*suites, tmp_path / "none.py"], level="unsafe"
    )
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
