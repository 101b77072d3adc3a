from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepnav.sandbox import Call, Job, Limits, Sandbox, Suite, judge_batch, judge_problem, prepare
from stepnav.sandbox.codec import encode
from stepnav.sandbox.inside import batch_box, box
from stepnav.sandbox.inside.server import MOST_BATCHES

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")

DOUBLE = Suite("assert f(1) == 2\nassert f(3) == 6", "f", "mbpp", "def f(x): return x + x")
LOOK = """
import collections, copy, json, math, random, re, string
def f(x):
    return [math.pi, len('ab'), re.match('a', 'ab').end(), collections.Counter('aab').most_common(1),
            copy.copy([x]), string.digits, json.dumps([x]), random.random(), sorted([2, 1])]
"""
SEEN = "[3.141592653589793, 2, 1, [('a', 2)], [1], '0123456789', '[1]', 0.8444218515250481, [1, 2]]"
LOOKING = Suite(f"assert f(1) == {SEEN}", "f", "mbpp", LOOK)
OTHER = Suite("assert g('ab') == 'ba'", "g", "mbpp", "def g(s): return s[::-1]")
DOWN = (
    "def down(n):\n    try: return down(n + 1)\n    except RecursionError: return n\n"
    "def f(x): return down(0)\n"
)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    limits = Limits(cpu_s=2.0, wall_s=30.0, memory_bytes=256 * 2**20)
    with Sandbox("process", limits=limits) as box:
        for problem in (DOUBLE, LOOKING, OTHER):
            judge_batch(box, problem, [problem.reference or ""])
        yield box


def children(sandbox: Sandbox) -> set[int]:
    """Return the processes under the warm parent: the spare, and the one kept for batches."""
    pid = sandbox.workers[0].pid
    path = Path(f"/proc/{pid}/task/{pid}/children")
    if not path.exists():
        pytest.skip("this kernel does not list children")
    return {int(word) for word in path.read_text().split()}


def keep_one(sandbox: Sandbox) -> set[int]:
    for _ in range(2):  # the last batch that a fork may serve takes it along
        assert judge_batch(sandbox, OTHER, [OTHER.reference or ""])[0].status == "passed"
        found = children(sandbox)
        if len(found) == 2:
            break
    assert len(found) == 2
    return found


def test_one_fork_serves_the_batches_of_several_problems_and_no_single_job(
    sandbox: Sandbox,
) -> None:
    before = keep_one(sandbox)
    for problem in (DOUBLE, LOOKING, OTHER):
        assert judge_batch(sandbox, problem, [problem.reference or ""] * 3)[2].status == "passed"
        assert children(sandbox) == before
    source = "import os\ndef f(): return os.getpid()"
    single = [sandbox.run(Job(source, (Call("f"),))).calls[0].value for _ in range(3)]
    assert len(set(single)) == 3
    (kept,) = children(sandbox) & before
    assert kept not in single
    judge_batch(sandbox, DOUBLE, ["def f(x): return 1"])
    assert kept in children(sandbox)


def test_a_fork_is_replaced_after_so_many_batches(sandbox: Sandbox) -> None:
    before = keep_one(sandbox)
    for _ in range(MOST_BATCHES):
        judge_batch(sandbox, DOUBLE, ["def f(x): return 2 * x"])
    assert len(children(sandbox) & before) == 1  # the spare one, which is in use now


LEAVING = (
    "import math\nmath.pi = 3",
    "import math\nfor math.pi in [3]: pass",
    "import re\ndel re.match",
    "import random\nrandom.random = int",
    "import builtins\nbuiltins.len = sum",
    "import collections\ncollections.Counter.most_common = None",
    "import copy\ncopy.dispatch_table[int] = abs",
    "import copy\ncopy._copy_dispatch[list] = abs",
    "import string\nstring.__all__.append('x')",
    "import json\njson.encoder = json._default_encoder = None",
    "import sys\nsys.modules['re'] = None",
    "import sys\nsys.setrecursionlimit(400)",
    "import sys\nsys.setswitchinterval(1)",
    "import sys\nsys.stdout = None",
    "import sys\nsys.path.append('x')",
    "import collections\ncollections._sys.stdin = None",
    "import warnings\nwarnings.simplefilter('error')",
    "import os\nos.environ['A'] = 'b'",
    "import gc\ngc.disable()",
    "import decimal\ndecimal.getcontext().prec = 3",
    "import signal\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)",
    "import statistics\nstatistics.NormalDist().samples(3)",
    "getattr(f, '__glo' + 'bals__')['__built' + 'ins__']['len'] = sum",
    "held = open('/dev/null')",
    "class Late:\n    def __del__(self): pass\nheld = Late()\nheld.self = held",
    "import colorsys",
    "import sys\nsys.stdout.close()",
    "from sys import stdout\nstdout.close()",
    "import sys\nsys.set_int_max_str_digits(0)",
    "import json\njson.dumps.__kwdefaults__['sort_keys'] = True",
    "import json\njson.dumps.__kwdefaults__.update(indent=2)",
    "import re\nre.RegexFlag._member_map_['A'] = 0",
    "import re\nre.RegexFlag._value2member_map_.clear()",
    "import json\njson.encoder.ESCAPE_DCT['1'] = '2'",
    "import textwrap\ntextwrap.TextWrapper.unicode_whitespace_trans.clear()",
    "import collections\ncollections.Counter.__init__.__annotations__['x'] = 1",
)
DISTURBING = ("held = [0] * 2**23", "raise SystemExit", "while True: pass", "raise MemoryError")
"""These are run in the batch, and end it."""


@pytest.mark.parametrize("leaving", LEAVING + DISTURBING)
def test_what_a_variant_leaves_behind_reaches_no_other(sandbox: Sandbox, leaving: str) -> None:
    before = keep_one(sandbox)
    source = f"def f(x): return x + x\n{leaving}\n"
    verdicts = judge_batch(sandbox, DOUBLE, [source, *SEEING], cpu_s=0.1)
    if leaving in DISTURBING:
        assert not before <= children(sandbox)  # its fork is gone
    alone = [judge_problem(sandbox, DOUBLE, item, cpu_s=0.1) for item in (source, *SEEING)]
    assert [(v.status, v.detail) for v in verdicts] == [(v.status, v.detail) for v in alone]
    assert judge_batch(sandbox, LOOKING, [LOOK])[0].status == "passed"


SEEING = (
    "def f(x):\n    print('x', flush=True)\n    return x + x",
    "def f(x):\n    try: int('1' * 5000)\n    except ValueError: return x + x",
    "import json\ndef f(x): return len(json.dumps({'b': x, 'a': x})) - 16 + x + x",
    "import re\ndef f(x): return x + x if re.compile('a', re.I | re.M).flags == 42 else 0",
    "def f(x):\n    '\\d'\n    return x + x",
)
"""Variants that see a closed output, another limit of digits, changed defaults, tables and
filters."""


def test_after_an_unusual_variant_the_rest_runs_in_a_fresh_fork(sandbox: Sandbox) -> None:
    """What no list of names foresees ends the batch all the same, as soon as it is seen."""
    source = "def f(x): return x + x\nraise SystemExit"
    later = "def f(x):\n    return x + x\n"
    before = keep_one(sandbox)
    verdicts = judge_batch(sandbox, DOUBLE, [later, source, later, source, later])
    assert [v.status for v in verdicts] == ["passed", "error", "passed", "error", "passed"]
    assert not children(sandbox) & before  # nor does the spare one serve on


def test_random_numbers_and_objects_begin_anew(sandbox: Sandbox) -> None:
    before = keep_one(sandbox)
    source = (
        "import random\nloop = []\nloop.append(loop)\n"
        "def f(x):\n    random.seed(x)\n    loop.append(random.gauss(0, 1))\n    return 2 * x\n"
    )
    assert judge_batch(sandbox, DOUBLE, [source] * 2)[1].status == "passed"
    assert judge_batch(sandbox, LOOKING, [LOOK] * 2)[1].status == "passed"
    assert children(sandbox) == before


def test_recursion_ends_at_the_same_depth_in_every_fork() -> None:
    with Sandbox("process") as box:
        first, later = (box.run(Job(DOWN, (Call("f", (1,)),))).calls[0].value for _ in range(2))
        assert first == later > 100
        problem = Suite(f"assert f(1) == {first}", "f", "mbpp", DOWN)
        for _ in range(3):
            verdicts = judge_batch(box, problem, [DOWN, DOWN])
            assert [verdict.status for verdict in verdicts] == ["passed", "passed"]


@pytest.mark.parametrize(
    "body",
    ["return f(x)", "return f(x) + 1", "return [f(x), x] > [x]", "return sorted([x], key=f)"],
)
def test_endless_recursion_has_the_same_verdict_in_a_batch(sandbox: Sandbox, body: str) -> None:
    before = keep_one(sandbox)
    source = f"def f(x):\n    {body}\n"
    batch = judge_batch(sandbox, DOUBLE, [source, source])
    assert children(sandbox) == before  # settled there
    alone = judge_problem(sandbox, DOUBLE, source)
    assert alone.status == "error"
    assert [(v.status, v.detail) for v in batch] == [(alone.status, alone.detail)] * 2


ARGUMENTS = (
    "[3, 1, 2]", "{'b': 1, 'a': [2]}", "[(1, 2.5), ('x', None)]", "[b'x', {1, 2}]", "[[1], [1]]",
    "collections.deque([1, 2])", "[-0.0, True, 1, 2**70, 1j]",
)  # fmt: skip
CHANGING = (
    "def f(a): return None",
    "def f(a):\n    a.clear()\n    return None",
    "def f(a):\n    try: a.append(bytearray(b'x'))\n    except AttributeError: a['n'] = (1,)",
    "def f(a):\n    try: a[0] = True if a[0] == 1 else a[0]\n    except KeyError: pass",
    "def f(a):\n    try: a.append(f)\n    except AttributeError: a[f] = f",
    "def f(a):\n    if type(a) is list and a[0] == 0: a[0] = 0.0",
    "def f(a):\n    try: a.append(a)\n    except AttributeError: a['a'] = a",
)


@pytest.mark.parametrize("argument", ARGUMENTS)
def test_arguments_are_fresh_and_changes_in_place_are_seen(sandbox: Sandbox, argument: str) -> None:
    test = f"a = {argument}\nassert f(a) is None\nassert repr(a) == repr({argument})"
    problem = Suite(test, "f", "mbpp", CHANGING[0], "import collections")
    sources = [source for source in CHANGING for _ in range(2)]
    batch = judge_batch(sandbox, problem, sources)
    alone = [judge_problem(sandbox, problem, source) for source in sources]
    assert [(v.status, v.detail) for v in batch] == [(v.status, v.detail) for v in alone]
    assert {"passed", "failed"} <= {v.status for v in batch}
    assert prepare(sandbox, problem).calls


def test_what_the_timer_interrupted_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The timer rings again and again: also between an answer made of its exception and the next."""

    class Interrupted(box.Program):
        def answer(self, asked: box.Asked) -> bytes:
            batch_box.CLOCK.is_late = True
            return self._raised(batch_box.LateError(), None)

    def rings(answer: bytes) -> bytes:
        raise batch_box.LateError

    monkeypatch.setattr(batch_box, "digest", rings)
    program = Interrupted(max_depth=9, max_bytes=999)
    asked = box.Asked(encode(("n", "f")))
    answers = batch_box._judge_one(program, "f = 1", [(asked, b"")], cpu_s=60.0)
    assert len(answers) == 1  # loading it
    assert not program.is_strange
