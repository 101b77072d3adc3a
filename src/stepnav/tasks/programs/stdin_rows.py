"""Rows of problems with inputs and outputs, in the forms in which they are published.

APPS has `input_output`, CodeContests `public_tests`, `private_tests` and `generated_tests`,
LiveCodeBench `public_test_cases` and `private_test_cases` (JSON; the private ones may be packed),
and the user's own rows `stdin` and `stdout`, a text or a list each.
"""

from __future__ import annotations

import base64
import json
import pickle
import zlib
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

from stepnav.sandbox.streams import Pairs
from stepnav.tasks.benchmark_file import Fields


def solution_of(row: Fields) -> str | None:
    """Return the first Python solution of a row, None if it has none."""
    found: Any = row.get("solutions") or row.get("solution")
    if isinstance(found, str) and found.startswith("["):
        found = json.loads(found)
    if isinstance(found, Mapping):  # CodeContests: 3 is Python 3
        found = [
            s for s, kind in zip(found["solution"], found["language"]) if kind in (3, "PYTHON3")
        ]
    return found if isinstance(found, str) else next(iter(found or ()), None)


def _text(value: Any) -> str:
    """Return an input or output: a text, or the lines of one."""
    lines = value if isinstance(value, list) else [value]
    if not all(isinstance(line, str) for line in lines):
        raise ValueError(f"an input or output must be text (got {value!r:.80})")
    return "\n".join(lines)


def _pairs(inputs: Any, outputs: Any) -> Pairs:
    inputs, outputs = ([one] if isinstance(one, str) else one for one in (inputs, outputs))
    if not isinstance(inputs, list) or not isinstance(outputs, list) or not inputs:
        raise ValueError("inputs and outputs must be lists with something in them")
    if len(inputs) != len(outputs):
        raise ValueError(f"there are {len(inputs)} inputs and {len(outputs)} outputs")
    return [*zip(map(_text, inputs), map(_text, outputs))]


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"tests must be an object (got {value!r:.80})")
    return value


def _columns(inputs: Any, row: Fields) -> tuple[Pairs, Pairs]:
    return [], _pairs(inputs, row["stdout"])


def _apps(value: Any, row: Fields) -> tuple[Pairs, Pairs]:
    tests = json.loads(value or "null") if isinstance(value, str) else value
    if not tests or _mapping(tests).get("fn_name"):
        return [], []
    return [], _pairs(tests["inputs"], tests["outputs"])


def _contests(value: Any, row: Fields) -> tuple[Pairs, Pairs]:
    def pairs(tests: Any) -> Pairs:
        given = _mapping(tests or {"input": []})["input"]
        return _pairs(given, tests["output"]) if given else []

    others = (row.get(f"{kind}_tests") for kind in ("private", "generated"))
    return pairs(value), [pair for tests in others for pair in pairs(tests)]


def _cases(value: Any, row: Fields) -> tuple[Pairs, Pairs]:
    public, hidden = _cases_of(value), _cases_of(row.get("private_test_cases"))
    if any(_mapping(case).get("testtype", "stdin") != "stdin" for case in (*public, *hidden)):
        return [], []
    first, second = (
        [(_text(c["input"]), _text(c["output"])) for c in cs] for cs in (public, hidden)
    )
    return first, second


def _cases_of(value: Any) -> list[Mapping[str, Any]]:
    """Return a list of tests, which may be JSON, or JSON pickled, packed and in base 64."""
    if isinstance(value, str) and not value.lstrip().startswith("["):
        try:
            value = _OnlyText(BytesIO(zlib.decompress(base64.b64decode(value)))).load()
        except (zlib.error, pickle.UnpicklingError, EOFError) as error:
            raise ValueError(f"private tests are damaged ({error})") from None
    return json.loads(value) if isinstance(value, str) else [*(value or ())]


class _OnlyText(pickle.Unpickler):
    """Reads text alone, so that a file can make nothing else of it."""

    def find_class(self, module: str, name: str) -> Any:
        """Refuse everything that would have to be imported."""
        raise ValueError(f"private tests must be text (got {module}.{name})")


FORMS: Mapping[str, Callable[[Any, Fields], tuple[Pairs, Pairs]]] = {
    "stdin": _columns,
    "input_output": _apps,
    "public_tests": _contests,
    "public_test_cases": _cases,
}
"""The field by which a form is known, to what reads (its value, its row) to public tests and the
others; none where a function is asked for."""
