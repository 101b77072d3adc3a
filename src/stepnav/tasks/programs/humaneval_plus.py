"""HumanEval+'s comparison: a candidate against the reference, input by input.

Source: Liu et al. 2023, arXiv 2305.01210.

Rules of evalplus 0.3.1, `evalplus/eval/__init__.py`: equal values pass; floats, or any numbers
where the row has an `atol`, may differ by `atol` (1e-6 if it is 0) + 1e-7 times the reference's
value; `find_zero` is judged by the polynomial's value. Differs in: base and further inputs are one
test, so a pass is evalplus' "plus" pass, and one time limit holds for all of them. Tests in the
original format bring rules of their own and need nothing of this.
"""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any

FLOAT_ATOL = 1e-6
RTOL = 1e-7
ROOT_FINDER = "find_zero"
"""HumanEval/32, whose root is not the only one."""


def make_test(row: Mapping[str, Any], entry_point: str) -> str:
    """Return the `check(candidate)` of a row with `base_input` and `plus_input`.

    Raises:
      KeyError: one of them is missing.
      ValueError: they are no lists of argument lists, or `atol` is no number from 0 up.
    """
    inputs = []
    for name in ("base_input", "plus_input"):
        if not isinstance(row[name], list) or not all(isinstance(one, list) for one in row[name]):
            raise ValueError(f"field {name!r} must be a list of argument lists")
        inputs += row[name]
    atol = row.get("atol", 0)
    if not isinstance(atol, (int, float)) or not 0 <= atol < math.inf:
        raise ValueError(f"field 'atol' must be a number from 0 up (got {atol!r})")
    return (
        "import stepnav.tasks.programs.humaneval_plus as _plus\n\n"  # a solution may be `compare`
        f"_inputs = {json.dumps(inputs)!r}\n\n\n"
        "def check(candidate):\n"
        f"    for _arguments, _check in _plus.questions({entry_point}, _inputs, {atol!r}):\n"
        "        _check(candidate(*_arguments))\n"
    )


def questions(
    reference: FunctionType, inputs: str, atol: float
) -> Iterator[tuple[list[Any], Callable[[Any], None]]]:
    """Yield the arguments of each call, and what raises an `AssertionError` for a wrong value.

    Args:
      reference: the trusted function; its values are kept, so that it runs once per input.
      inputs: JSON list of argument lists; read anew for each function, since they change their
        arguments.
      atol: absolute tolerance.
    """
    known = _known_values(reference.__code__, inputs)
    own = lru_cache(lambda: json.loads(inputs))
    for number, arguments in enumerate(json.loads(inputs)):
        shown = _shown(arguments)  # the candidate may change them

        def check(found: Any, number: int = number, shown: str = shown) -> None:
            if number not in known:
                known[number] = reference(*own()[number])
            if reference.__name__ == ROOT_FINDER:
                (coefficients,) = json.loads(inputs)[number]
                value = sum(one * math.pow(found, power) for power, one in enumerate(coefficients))
                assert abs(value) <= atol, f"{shown}: the polynomial is {value} at {_shown(found)}"
            elif not is_equal(found, known[number], atol):
                raise AssertionError(f"{shown} gave {_shown(found)}, not {_shown(known[number])}")

        yield arguments, check


def is_equal(found: Any, wanted: Any, atol: float) -> bool:
    """Return whether a value counts as the reference's."""
    if found == wanted:
        return True
    if atol == 0 and _is_floats(wanted):
        atol = FLOAT_ATOL
    return atol != 0 and type(found) is type(wanted) and _is_close(found, wanted, atol)


@lru_cache(maxsize=256)
def _known_values(code: CodeType, inputs: str) -> dict[int, Any]:
    """Return where the values of a reference are kept, by the input's number."""
    return {}


def _is_floats(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return bool(value) and all(isinstance(item, float) for item in value)
    return isinstance(value, float)


def _is_close(found: Any, wanted: Any, atol: float) -> bool:
    """Return numpy's `allclose` of numbers and of lists of them."""
    if isinstance(wanted, (list, tuple)):
        return (
            isinstance(found, (list, tuple))
            and len(found) == len(wanted)
            and all(_is_close(one, other, atol) for one, other in zip(found, wanted))
        )
    if not isinstance(found, (int, float)) or not isinstance(wanted, (int, float)):
        return False
    if found == wanted:
        return True
    try:
        most = atol + RTOL * abs(
            wanted
        )  # infinite for an infinite value, which only itself is near
        return math.isfinite(most) and abs(found - wanted) <= most
    except OverflowError:  # an integer beyond all floats
        return False


def _shown(value: Any) -> str:
    try:
        return reprlib.repr(value)
    except ValueError:  # an integer of more digits than Python writes out
        return "an integer too long to show"
