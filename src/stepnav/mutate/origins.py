"""Where programs to mutate come from: a user's own files, and which ids of a benchmark."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from pathlib import Path

from stepnav.core.errors import ConfigError, DataError, nearest
from stepnav.mutate.laboratory import REFERENCE_CPU_S
from stepnav.mutate.program.source import parse
from stepnav.mutate.program.steps import split_steps
from stepnav.mutate.reference import Reference
from stepnav.mutate.suites.excerpt import excerpt
from stepnav.mutate.suites.suite import SuiteFile, Test, defined_names, read_check, read_suite
from stepnav.mutate.worker import OUTPUT_BYTES
from stepnav.sandbox.codec import decode
from stepnav.sandbox.judge import prepare
from stepnav.sandbox.pool import Sandbox
from stepnav.sandbox.records import Limits, Suite
from stepnav.tasks.inputs.calls import known_calls

HELD_OUT = ("augmented_assignment", "function_swap", "slice")
"""Operators that a benchmark's training data leave out, to see whether a model knows errors of a
kind that it was never shown."""


MAX_EXAMPLES = 300
"""Calls of the tests that are kept as models for further inputs."""

MAX_EXAMPLE_CHARACTERS = 2_000


def read_own(
    programs: Sequence[Path],
    tests: Sequence[Path],
    *,
    functions: Sequence[str] = (),
    level: str = "process",
) -> tuple[list[Reference], list[str], list[str]]:
    """Return the user's functions with their tests, and a line for all that cannot be used.

    Lines come in two lists: functions that cannot be used, and tests that were left out.
    Every test is run once on the program itself.

    Args:
      programs, tests: files, in pairs.
      functions: those wanted; all if none is named.
      level: sandbox level.
    Raises:
      ConfigError: there is not one test file for each program, or no program has a function that is
        named.
      SandboxError: the sandbox cannot be used.
    """
    if len(programs) != len(tests):
        raise ConfigError(
            f"each --program needs one --tests (got {len(programs)} programs and {len(tests)} "
            "test files)"
        )
    found: list[Reference] = []
    refused: list[str] = []
    left_out: list[str] = []
    defined: set[str] = set()
    limits = Limits(output_bytes=OUTPUT_BYTES)
    with Sandbox(level, limits=limits) as sandbox:  # type: ignore[arg-type]
        for program, suite in zip(programs, tests):
            try:
                pair = _Pair(program, suite)
                defined.update(pair.defined)
                found += pair.references(sandbox, functions, refused, left_out)
            except DataError as error:
                refused.append(str(error))
    for name in functions:
        if defined and name not in defined:
            raise ConfigError(
                f"--function {name}: no program defines it{nearest(name, sorted(defined))}"
            )
    return found, refused, left_out


def parse_ids(text: str | None, low: int, high: int) -> tuple[list[int], list[str]]:
    """Return the task ids named by a text, and a line for each that may not be trained on.

    Args:
      text: ids and ranges, for instance "601-620,700"; None for all from `low` to `high`.
      low, high: first and last id that may be trained on.
    Raises:
      ConfigError: the text is no list of ids.
    Example:
      >>> parse_ids("601-603,12", 511, 974)[0]
      [601, 602, 603]
    """
    if text is None:
        return list(range(low, high + 1)), []
    named = sorted(set(_expand(text)))
    refused = [
        f"mbpp {number}: training data come from ids {low}-{high} only"
        for number in named
        if not low <= number <= high
    ]
    return [number for number in named if low <= number <= high], refused


def _expand(text: str) -> Iterable[int]:
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise ConfigError(f"--ids must read like 601-620,700 (got {text!r})")
        yield from range(int(first), int(last if dash else first) + 1)


class _Pair:
    """A program and its test file.

    Attributes:
      defined: functions and classes of the program.

    Raises:
      DataError: one of them cannot be read.
    """

    def __init__(self, program: Path, suite: Path) -> None:
        self._program, self._suite = program, suite
        self._source, self._tests = _read(program), _read(suite)
        self._parsed = parse(self._source, str(program))
        self.defined = defined_names(self._source, str(program))

    def references(
        self,
        sandbox: Sandbox,
        wanted: Sequence[str],
        refused: list[str],
        left_out: list[str],
    ) -> list[Reference]:
        """Return the functions that can be used; adds a line for each function or test left out.

        Raises:
          DataError: the file holds no tests, or none of a function of the program.
        """
        own_check = read_check(self._source, self._tests, str(self._program), str(self._suite))
        if own_check is not None:
            return [self._reference(self._program.stem, self._source, self._tests, own_check)]
        suite = read_suite(
            self._tests,
            str(self._suite),
            module=self._program.stem,
            defined=self.defined,
            folders=self._program.resolve().parent.parts,
        )
        left_out += [f"{self._suite}: {line}" for line in suite.left_out]
        tests = {name: [test for test in suite.tests if name in test.uses] for name in self.defined}
        named = [name for name in self.defined if tests[name] and (not wanted or name in wanted)]
        if not named:
            raise DataError(
                f"{self._suite}: no test that can be run uses {', '.join(wanted) or 'anything'} "
                f"of {self._program}"
            )
        untested = [name for name in self.defined if not tests[name] and not wanted]
        if untested:
            left_out.append(f"{self._program}: no test that can be run uses {', '.join(untested)}")
        found = []
        for name in named:
            is_alone = not wanted and len(named) == 1
            found += self._tried(sandbox, suite, name, tests[name], is_alone, refused, left_out)
        return found

    def _tried(
        self,
        sandbox: Sandbox,
        suite: SuiteFile,
        name: str,
        tests: Sequence[Test],
        is_alone: bool,
        refused: list[str],
        left_out: list[str],
    ) -> list[Reference]:
        """Return a function with the tests that its reference passes; a list of one or none."""
        source = self._source if is_alone else excerpt(self._parsed, name)
        whole = "" if source == self._source else self._source
        good, examples = [], []
        for test in tests:
            try:
                text = suite.check(name, [test], whole)
                problem = Suite(text, name, "humaneval", source)
                calls = prepare(sandbox, problem, cpu_s=REFERENCE_CPU_S).calls
            except (DataError, ValueError) as error:  # ValueError: a literal too long to write
                if "never calls the reference" not in str(error):
                    what = f"{self._suite}: {test.name or 'the asserts'}"
                    left_out.append(f"{what}: not for {name}: {' '.join(str(error).split())}")
                continue
            good.append(test)
            examples += _examples(calls or [], name)
        if not good:
            refused.append(f"{self._program}: no test of {name} can be used")
            return []
        task_id = self._program.stem if is_alone else f"{self._program.stem}.{name}"
        check = suite.check(name, good, whole)
        return [self._reference(task_id, source, check, name, "\n".join(examples[:MAX_EXAMPLES]))]

    @staticmethod
    def _reference(
        task_id: str, source: str, check: str, entry: str, examples: str = ""
    ) -> Reference:
        preamble = _preamble(source, entry)
        return Reference(task_id, preamble, source, check, entry, "humaneval", examples=examples)


def _preamble(source: str, entry: str) -> str:
    """Return what stands before a program whose prompt would be blank: a line that asks for it."""
    parsed = parse(source)
    if split_steps(parsed).prompt.strip():
        return ""
    classes = {node.name for node in parsed.tree.body if isinstance(node, ast.ClassDef)}
    return f"# Write the {'class' if entry in classes else 'function'} {entry}.\n"


def _examples(calls: Sequence[bytes], name: str) -> list[str]:
    """Return the calls of a function whose arguments are literals, as texts."""
    found: dict[str, None] = {}
    for call in calls:
        kind, target, *rest = decode(call, max_depth=200)
        if kind != "c" or target != name:
            continue
        args, kwargs = decode(rest[0], max_depth=200)
        try:
            parts = [*map(repr, args), *(f"{key}={value!r}" for key, value in kwargs.items())]
            text = f"{name}({', '.join(parts)})"
            if len(text) <= MAX_EXAMPLE_CHARACTERS and known_calls([text], [name]):
                found[text] = None
        except (ValueError, SyntaxError):  # too many digits; an iterator, which is no literal
            continue
    return list(found)


def _read(path: Path) -> str:
    """Return a file's text with one newline character at the end of each line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text") from None
    return text if text.endswith("\n") else text + "\n"
