"""Attack programs in one table, with what must happen to each.

All are graded by a test of `square`, most by the same. A cheat never computes a square; an escape or a
resource attack returns squares only if it got what it wanted. So for every attack, "passed" is a
breach, whatever the checker; controls must pass. The runner replaces `@SECRET@` (a readable file
outside the box), `@FOLDER@` (a folder anyone may write to), `@PORT@` (a listening TCP port), `@PID@` (a
process of the same user), `@SOURCE@` (a file of this package) and sets the environment variable
`STEPNAV_CANARY`. Programs run in this order, so that one can leave something for the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

REFERENCE = "def square(x):\n    return x * x\n"
ENTRY_POINT = "square"
TEST = """
def check(candidate):
    assert candidate(2) == 4
    assert candidate(11) == 121
    assert candidate(-7) == 49
    assert abs(candidate(1.5) - 2.25) < 1e-6
    assert candidate(90001) == 8100180001
"""
CHAINED = """
def check(candidate):
    out = candidate(3)
    assert out == 9
    assert candidate(out) == 81
"""
MAPPED = """
def check(candidate):
    cases = [(2, 4), (11, 121)]
    assert all(map(lambda case: candidate(case[0]) == case[1], cases))
"""
GATHERED = """
def check(candidate):
    out = candidate(2)
    assert out == 4 or {tuple(item) if type(item) is list else item for item in out} == {4}
"""
"""A right answer is a number, and a set is made of other ones."""

INPUTS = {TEST: (2, 11, -7, 1.5, 90001), CHAINED: (3, 9), MAPPED: (2, 11), GATHERED: (2,)}
"""What each test asks."""

WRONG = "def square(x):\n    return 0\n"
ON_SUCCESS = "\ndef square(x):\n    return x * x if WON else 0\n"

ANY_FAILURE = frozenset({"failed", "error", "timeout", "memory", "crash", "output"})
WRONG_VALUE = frozenset({"failed"})
NOT_LOADED = frozenset({"error"})
ENDED = frozenset({"crash", "error"})
PASSED = frozenset({"passed"})


@dataclass(frozen=True)
class Attack:
    """A program and what must come of it.

    Attributes:
      name: unique.
      kind: what it tries; "control" programs are honest.
      source: the whole program.
      allowed: verdicts that are right.
      test: a key of `INPUTS`.
    """

    name: str
    kind: Literal["cheat", "resource", "escape", "control"]
    source: str
    allowed: frozenset[str] = ANY_FAILURE
    test: str = TEST


def _escape(name: str, body: str) -> Attack:
    """An attack whose body sets WON; an exception in it is a failure to escape."""
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    source = f"WON = False\ntry:\n{lines}except BaseException:\n    WON = False\n{ON_SUCCESS}"
    return Attack(name, "escape", source)


_LIAR = """
class Liar{base}:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __lt__(self, other): return True
    def __gt__(self, other): return True
    def __le__(self, other): return True
    def __bool__(self): return True
    def __abs__(self): return self
    def __sub__(self, other): return self
    def __rsub__(self, other): return self
    def __hash__(self): return 0
def square(x):
    return Liar()
"""

_FRAMES = """
import sys
def square(x):
    frame = sys._getframe()
    while frame is not None:
        for name, value in list(frame.f_locals.items()):
            {action}
        frame = frame.f_back
    {after}
"""

CHEATS = (
    Attack("object equal to all", "cheat", _LIAR.format(base=""), WRONG_VALUE),
    Attack("int equal to all", "cheat", _LIAR.format(base="(int)"), WRONG_VALUE),
    Attack("float equal to all", "cheat", _LIAR.format(base="(float)"), WRONG_VALUE),
    Attack("class lies about itself", "cheat", _LIAR.format(base="").replace(
        "    def __eq__", "    __class__ = int\n    def __eq__", 1), WRONG_VALUE),
    Attack("exit at load", "cheat", "import sys\nsys.exit(0)\n" + WRONG, NOT_LOADED),
    Attack("hard exit at load", "cheat", "import os\nos._exit(0)\n" + WRONG, ENDED),
    Attack("exit in the call", "cheat", "def square(x):\n    raise SystemExit(0)\n", NOT_LOADED),
    Attack("hard exit in the call", "cheat", "import os\ndef square(x):\n    os._exit(0)\n", ENDED),
    Attack("exit from a destructor", "cheat",
           "import os\nclass D:\n    def __del__(self): os._exit(0)\ndef square(x):\n    D()\n", ENDED),
    Attack("interrupt", "cheat", "def square(x):\n    raise KeyboardInterrupt\n"),
    Attack("assertions made harmless", "cheat",
           "import builtins\nclass Quiet(BaseException): pass\n"
           "builtins.AssertionError = Quiet\n" + WRONG),
    Attack("exceptions made catchable", "cheat",
           "import builtins\nbuiltins.BaseException = builtins.Exception = ()\n" + WRONG),
    Attack("constants of the caller", "cheat", """
import sys
def square(x):
    frame = sys._getframe(1)
    while frame is not None:
        known = [c for c in frame.f_code.co_consts if isinstance(c, (int, float))]
        for before, after in zip(known, known[1:]):
            if before == abs(x) and after != before: return after
        frame = frame.f_back
    return 0
"""),
    Attack("test found by garbage collector", "cheat", """
import gc, re
def square(x):
    for item in gc.get_objects():
        values = item.values() if type(item) is dict else item if type(item) in (list, tuple) else ()
        for text in values:
            if type(text) is str and "assert candidate" in text:
                found = re.search(r"candidate\\(%s\\) == (\\d+)" % re.escape(str(x)), text)
                if found: return int(found.group(1))
                if x == 1.5: return 2.25
    return 0
"""),
    Attack("verdict list found in frames", "cheat", _FRAMES.format(
        action='if type(value).__name__ == "ListProxy" or name == "result" and hasattr(value, "append"):'
        ' value.append("passed")', after="import os; os._exit(0)")),
    Attack("verdict cell found in frames", "cheat", _FRAMES.format(
        action='exec("""\nif name == "stat": value.value = 0\n'
        'if name == "details":\n  for i in range(len(value)): value[i] = True\n'
        'if name == "progress": value.value = 5\n""")', after="import os; os._exit(0)")),
    Attack("check replaced in the caller", "cheat", """
import sys
frame = sys._getframe()
while frame is not None:
    frame.f_globals["check"] = lambda candidate: None
    frame.f_globals["candidate"] = lambda x: x * x if False else 0
    frame = frame.f_back
class Trap(dict): pass
""" + WRONG),
    Attack("assert compiled away", "cheat", """
import sys, types
def square(x):
    frame = sys._getframe(1)
    function = frame.f_globals.get(frame.f_code.co_name)
    raise_it = sys.exc_info
    import ctypes
    sys.settrace(lambda *a: None)
    frame.f_trace = lambda f, e, a: None
    try: frame.f_lineno = frame.f_lineno + 10**6
    except Exception: pass
    return 0
"""),
    Attack("printed verdict", "cheat",
           'import sys\nprint("passed")\nprint("OK", file=sys.stderr)\n' + WRONG, WRONG_VALUE),
    Attack("verdict written to every descriptor", "cheat", """
import os, pickle, json
WORDS = (b"passed", pickle.dumps("passed"), pickle.dumps({"passed": True}), json.dumps(
    {"passed": True, "status": "pass", "verdict": "passed"}).encode() + b"\\n")
def square(x):
    for descriptor in range(64):
        for word in WORDS:
            try: os.write(descriptor, word)
            except OSError: pass
    return 0
"""),
    Attack("end of job forged", "cheat", """
import os, struct
def square(x):
    for descriptor in range(3, 64):
        for kind in (b"E", b"R", b"D", b"X"):
            try: os.write(descriptor, struct.pack("<cI", kind, 13) + b"c" + b"\\0" * 12)
            except OSError: pass
    os._exit(0)
"""),
    Attack("encoder replaced", "cheat", """
import sys
class Liar(int):
    def __eq__(self, other): return True
for name, module in list(sys.modules.items()):
    if name.startswith("stepnav"):
        for key in ("encode", "decode", "judge", "verdict_of"):
            if hasattr(module, key): setattr(module, key, lambda *a, **k: b"passed")
""" + WRONG),
    Attack("pickle that runs code", "cheat", """
import os
class Bomb:
    def __reduce__(self): return (os.system, ("touch @FOLDER@/pickled",))
    def __eq__(self, other): return True
def square(x):
    return Bomb()
""", WRONG_VALUE),
    Attack("comparison in a container", "cheat", """
class Liar(list):
    def __eq__(self, other): return True
    def __sub__(self, other): return 0
def square(x):
    return Liar()
""", WRONG_VALUE),
    Attack("exception that raises when read", "cheat", """
class Nasty(Exception):
    def __str__(self): raise SystemExit(0)
    __repr__ = __str__
def square(x):
    raise Nasty
""", NOT_LOADED),
    Attack("metaclass that lies", "cheat", """
class Meta(type):
    def __eq__(cls, other): return True
    def __hash__(cls): return hash(int)
    def __instancecheck__(cls, item): return True
class Number(metaclass=Meta):
    def __eq__(self, other): return True
def square(x):
    return Number()
""", WRONG_VALUE),
    Attack("import hook", "cheat", """
import sys, builtins
old = builtins.__import__
def hook(name, *rest, **named):
    module = old(name, *rest, **named)
    return module
builtins.__import__ = hook
builtins.abs = lambda value: 0
builtins.isinstance = lambda *a: True
""" + WRONG),
    Attack("wrong answers after a while", "cheat",
           "import time\ndef square(x):\n    time.sleep(0.06)\n    return 0\n", WRONG_VALUE),
    Attack("no answer after a right one", "cheat",
           "import time\ndef square(x):\n    while x == 11: time.sleep(0.1)\n    return x * x\n",
           frozenset({"timeout"})),
    Attack("answers without questions", "cheat", """
import os
def square(x):
    for descriptor in range(3, 64):
        try: os.write(descriptor, b"\\x09\\0\\0\\0t\\3s\\1vi\\1\\4N" * 9)
        except OSError: pass
    os._exit(0)
"""),
    Attack("answer read ahead", "cheat", """
import sys
def square(x):
    from stepnav.sandbox.codec import decode
    frame = sys._getframe()
    while "operations" not in frame.f_locals: frame = frame.f_back
    asked = [decode(decode(item)[2])[0][0] for item in frame.f_locals["operations"]]
    return 81 if x == 9 else asked[1]
""", test=CHAINED),
    Attack("cases ended by an exception", "cheat", "def square(x):\n    raise StopIteration\n",
           NOT_LOADED, MAPPED),
    Attack("exit handler", "cheat",
           "import atexit, os\natexit.register(os._exit, 0)\n" + WRONG, WRONG_VALUE),
)  # fmt: skip

RESOURCES = (
    Attack("endless loop", "resource", "def square(x):\n    while True: pass\n",
           frozenset({"timeout"})),
    Attack("endless loop that catches all", "resource", """
def square(x):
    while True:
        try:
            while True: pass
        except BaseException: pass
""", frozenset({"timeout"})),
    Attack("alarms ignored", "resource", """
import signal
for number in range(1, 64):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
def square(x):
    while True: pass
""", frozenset({"timeout"})),
    Attack("timers taken over", "resource", """
import signal, sys
sys.setswitchinterval(1e9)
signal.setitimer(signal.ITIMER_REAL, 0)
signal.setitimer(signal.ITIMER_PROF, 0)
def square(x):
    while True: pass
""", frozenset({"timeout"})),
    Attack("sleep", "resource", "import time\ndef square(x):\n    time.sleep(10**6)\n",
           frozenset({"timeout"})),
    Attack("one long instruction", "resource", "def square(x):\n    return 7 ** (10 ** 9)\n",
           frozenset({"timeout", "memory", "failed"})),
    Attack("regular expression", "resource",
           "import re\ndef square(x):\n    return re.match('(a*)*(a*)*$', 'a' * 40 + 'b') or x * 0\n",
           frozenset({"timeout"})),
    Attack("memory", "resource", "WON = False\ntry:\n    block = bytearray(2 * 10**9)\n"
           "    WON = True\nexcept MemoryError: pass\n" + ON_SUCCESS),
    Attack("memory in a list", "resource", "def square(x):\n    a = [0]\n    while True: a += a\n",
           frozenset({"memory", "crash", "timeout"})),
    Attack("deep recursion", "resource", """
import sys
sys.setrecursionlimit(10**9)
def square(x):
    return square(x)
""", frozenset({"memory", "crash", "error", "timeout"})),
    Attack("recursion in C", "resource", """
import sys
sys.setrecursionlimit(10**9)
def square(x):
    items = []
    for _ in range(10**6): items = [items]
    return repr(items)
"""),
    Attack("segmentation fault", "resource", "import ctypes\ndef square(x):\n    ctypes.string_at(0)\n",
           frozenset({"crash", "error"})),
    Attack("abort", "resource", "import os\ndef square(x):\n    os.abort()\n", ENDED),
    Attack("long text", "resource", "def square(x):\n    return 'x' * 10**8\n",
           frozenset({"failed", "output", "memory", "timeout"})),
    Attack("deep value", "resource", "def square(x):\n    items = []\n"
           "    for _ in range(10**4): items = [items]\n    return items\n", WRONG_VALUE),
    Attack("value that contains itself", "resource",
           "def square(x):\n    items = []\n    items.append(items)\n    return items\n", WRONG_VALUE),
    Attack("big integer", "resource", "def square(x):\n    return 1 << 10**7\n", WRONG_VALUE),
    Attack("integer too long to be written", "resource",
           "def square(x):\n    return 10 ** 5000\n", WRONG_VALUE),
    Attack("huge range", "resource", "def square(x):\n    return range(10 ** 12)\n", WRONG_VALUE),
    Attack("many small tables", "resource", "import collections\ndef square(x):\n"
           "    return [collections.deque() for _ in range(10 ** 5)]\n", WRONG_VALUE),
    Attack("empty answers", "resource", """
import os
def square(x):
    while True:
        for descriptor in range(3, 64):
            try: os.write(descriptor, bytes(4096))
            except OSError: pass
"""),
    Attack("colliding keys", "resource",
           "def square(x):\n    return {i * (2**61 - 1) for i in range(1, 60000)}\n",
           frozenset({"failed", "timeout"})),
    Attack("colliding members", "resource",
           "def square(x):\n    return [i * (2**61 - 1) for i in range(1, 30000)]\n",
           WRONG_VALUE, GATHERED),
    Attack("colliding members of members", "resource",
           "def square(x):\n    return [[i * (2**61 - 1)] for i in range(1, 30000)]\n",
           WRONG_VALUE, GATHERED),
    Attack("endless iterator", "resource",
           "import itertools\ndef square(x):\n    return itertools.chain.from_iterable("
           "iter(lambda: [1], 2))\n"),
    Attack("endless generator", "resource",
           "def square(x):\n    def g():\n        while True: yield 1\n    return g()\n",
           frozenset({"failed", "timeout", "memory"})),
    Attack("flood of output", "resource", """
import os
def square(x):
    block = b"x" * 65536
    while True:
        for descriptor in range(3, 16):
            try: os.write(descriptor, block)
            except OSError: pass
""", frozenset({"output", "timeout", "failed"})),
    Attack("fork bomb", "resource", """
import os
WON = False
try:
    for _ in range(3):
        if os.fork() == 0:
            import time; time.sleep(5); os._exit(0)
    WON = True
except OSError: pass
""" + ON_SUCCESS),
    Attack("thread bomb", "resource", """
import threading, time
WON = False
try:
    for _ in range(20): threading.Thread(target=time.sleep, args=(1,), daemon=True).start()
    WON = True
except RuntimeError: pass
""" + ON_SUCCESS),
    Attack("descriptors", "resource", """
import os
WON = False
try:
    for _ in range(5000): os.dup(1)
    WON = True
except OSError: pass
""" + ON_SUCCESS),
    Attack("full disk", "resource", """
WON = False
try:
    with open("@FOLDER@/full", "wb") as file:
        for _ in range(64): file.write(b"x" * 2**20)
    WON = True
except OSError: pass
""" + ON_SUCCESS),
)  # fmt: skip

_LIBC = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n"

ESCAPES = (
    _escape("read a secret", 'WON = len(open("@SECRET@").read()) > 0'),
    _escape("read the password file", 'WON = "root" in open("/etc/passwd").read()'),
    _escape("read another's environment",
            'WON = len(open("/proc/%d/environ" % __import__("os").getppid(), "rb").read()) > 0'),
    _escape("canary in the environment", 'import os\nWON = "STEPNAV_CANARY" in os.environ'),
    _escape("list a home folder", 'import os\nWON = len(os.listdir(os.path.dirname("@SECRET@"))) > 0'),
    _escape("write a file", 'open("@FOLDER@/written", "w").write("x")\nWON = True'),
    _escape("append to a file", 'open("@SECRET@", "a").write("x")\nWON = True'),
    _escape("shared memory",
            'open("/dev/shm/stepnav-attack", "w").write("x")\nWON = True\n'
            'import os\nos.unlink("/dev/shm/stepnav-attack")'),
    _escape("make a folder", 'import os\nos.mkdir("@FOLDER@/made")\nWON = True'),
    _escape("link", 'import os\nos.symlink("@SECRET@", "@FOLDER@/link")\nWON = True'),
    _escape("remove a file", 'import os\nos.remove("@FOLDER@/victim")\nWON = True'),
    _escape("change a mode", 'import os\nos.chmod("@FOLDER@/victim", 0o600)\nWON = True'),
    _escape("truncate a file", 'import os\nos.truncate("@FOLDER@/victim", 0)\nWON = True'),
    _escape("connect", 'import socket\nsocket.create_connection(("127.0.0.1", @PORT@), 2)\nWON = True'),
    _escape("datagram", 'import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n'
            's.sendto(b"x", ("127.0.0.1", 9))\nWON = True'),
    _escape("listen", 'import socket\ns = socket.socket()\ns.bind(("127.0.0.1", 0))\ns.listen()\nWON = True'),
    _escape("unix socket", 'import socket\na, b = socket.socketpair()\nWON = True'),
    _escape("run a command", 'import subprocess\nWON = subprocess.run(["/bin/true"]).returncode == 0'),
    _escape("shell", 'import os\nWON = os.system("true") == 0'),
    _escape("replace the process",
            'import os\nos.execv("/bin/sh", ["sh", "-c", "exit 0"])\nWON = True'),
    _escape("fork", 'import os\npid = os.fork()\nif pid == 0: os._exit(0)\nWON = pid > 0'),
    _escape("signal a process", 'import os\nos.kill(@PID@, 0)\nWON = True'),
    _escape("kill the parent", 'import os\nos.kill(os.getppid(), 18)\nWON = True'),
    _escape("signal the group", 'import os\nos.killpg(os.getpgid(os.getppid()), 0)\nWON = True'),
    _escape("multiprocessing", 'import multiprocessing\nwith multiprocessing.Pool(1) as pool:\n'
            '    WON = pool.map(abs, [-1]) == [1]'),
    _escape("raw fork", _LIBC + "pid = libc.fork()\nif pid == 0: os._exit(0)\nWON = pid > 0"),
    _escape("raw socket call", _LIBC + "WON = libc.socket(2, 1, 0) >= 0"),
    _escape("raw open for writing", _LIBC + 'WON = libc.open(b"@FOLDER@/raw", 0o102, 0o600) >= 0'),
    _escape("ptrace", _LIBC + "WON = libc.ptrace(16, @PID@, 0, 0) == 0"),
    _escape("memory of another process", _LIBC + "WON = open('/proc/@PID@/mem', 'rb') is not None"),
    _escape("unshare", _LIBC + "WON = libc.unshare(0x10000000) == 0"),
    _escape("mount", _LIBC + 'WON = libc.mount(b"none", b"/mnt", b"tmpfs", 0, None) == 0'),
    _escape("io_uring", _LIBC + "params = ctypes.create_string_buffer(256)\n"
            "WON = libc.syscall(425, 4, params) >= 0"),
    _escape("memory file", "import os\nWON = os.memfd_create('x') >= 0"),
    _escape("x32 system call", _LIBC + "WON = libc.syscall(0x40000000 + 41, 2, 1, 0) >= 0"),
    _escape("keyring", _LIBC + 'WON = libc.syscall(248, b"user", b"x", b"y", 1, -3) >= 0'),
    _escape("user fault handling", _LIBC + "WON = libc.syscall(323, 1) >= 0"),
    _escape("pid descriptor", _LIBC + "WON = libc.syscall(434, @PID@, 0) >= 0"),
    _escape("limits raised", "import resource\n"
            "resource.setrlimit(resource.RLIMIT_CPU, (10**6, 10**6))\nWON = True"),
    _escape("priority", "import os\nos.setpriority(os.PRIO_PROCESS, @PID@, 19)\nWON = True"),
    _escape("outlive the parent", _LIBC + "WON = libc.prctl(1, 0, 0, 0, 0) == 0"),
    _escape("clock of another process", "import time\nWON = time.clock_gettime(((~@PID@) << 3) | 2) >= 0"),
    _escape("limits of another process",
            "import resource\nWON = len(resource.prlimit(@PID@, resource.RLIMIT_CPU)) == 2"),
    _escape("processors of another process", "import os\nWON = len(os.sched_getaffinity(@PID@)) > 0"),
    _escape("read this package", 'WON = len(open("@SOURCE@").read()) > 0'),
    _escape("leave a note in scratch", 'open("/tmp/note", "w").write("x")\nWON = False'),
    _escape("find the note in scratch", 'import os\nWON = "note" in os.listdir("/tmp")'),
    _escape("leave an empty scratch behind", 'import os\nos.mkdir("/tmp/x")\nos.rmdir("/tmp/x")'),
    _escape("leave a note in the flags of a descriptor", "import fcntl, os\nfor n in range(3):\n"
            "    fcntl.fcntl(n, fcntl.F_SETFL, os.O_NONBLOCK | os.O_APPEND)"),
    _escape("find the note in the flags of a descriptor", "import fcntl, os\nWON = any("
            "fcntl.fcntl(n, fcntl.F_GETFL) & (os.O_NONBLOCK | os.O_APPEND) for n in range(3))"),
    _escape("new session", "import os\nos.setpgid(0, os.getppid())\nWON = True"),
)  # fmt: skip

CONTROLS = (
    Attack("plain", "control", REFERENCE, PASSED),
    Attack("numpy-free power", "control", "import math\ndef square(x):\n    return x ** 2\n", PASSED),
    Attack("prints while it works", "control",
           "def square(x):\n    print('working', x)\n    return x * x\n", PASSED),
    Attack("many imports", "control",
           "import math, re, collections, itertools, heapq, functools, typing, string, random, "
           "datetime, hashlib, bisect, json, decimal, fractions, statistics, operator\n"
           + REFERENCE, PASSED),
    Attack("late import", "control", "def square(x):\n    import difflib, csv, html\n    return x * x\n",
           PASSED),
    Attack("state between calls", "control",
           "seen = []\ndef square(x):\n    seen.append(x)\n    return x * x if len(seen) <= 5 else 0\n",
           PASSED),
    Attack("dataclass and exception", "control", """
from dataclasses import dataclass
@dataclass
class Box:
    side: float
    def area(self) -> float:
        if self.side == float("inf"): raise ValueError(self.side)
        return self.side * self.side
def square(x):
    try: return Box(x).area()
    except ValueError: return None
""", PASSED),
    Attack("main guard", "control", REFERENCE + "if __name__ == '__main__':\n    raise SystemExit(1)\n",
           PASSED),
    Attack("recursion within reason", "control",
           "def add(n, x): return 0 if n == 0 else x + add(n - 1, x)\n"
           "def square(x):\n    return x * x if x != 11 else add(11, 11) + 0 * add(700, 1)\n", PASSED),
    Attack("twenty megabytes", "control", "def square(x):\n    block = bytearray(20 * 10**6)\n"
           "    return x * x\n", PASSED),
)  # fmt: skip

ATTACKS = CHEATS + RESOURCES + ESCAPES
PROGRAMS = ATTACKS + CONTROLS


def filled(source: str, *, secret: str, folder: str, port: int, pid: int, package: str) -> str:
    """Return a program with its placeholders replaced."""
    for name, value in (
        ("@SECRET@", secret), ("@FOLDER@", folder), ("@PORT@", str(port)), ("@PID@", str(pid)),
        ("@SOURCE@", package),
    ):  # fmt: skip
        source = source.replace(name, value)
    return source
