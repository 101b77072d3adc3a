"""Inputs for the functions of the micro-python task, and the calls that become their tests.

A test suite is good when no slip of the reference passes it: of the inputs drawn, those that tell a
slip apart are kept first. References are our own code and run in this process; programs of a model
never do.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from stepnav.tasks.micro_python.specs import Spec

NUM_PUBLIC, NUM_HIDDEN = 3, 12
MAX_SIZE = 10**15
"""Larger results are no test, and functions that give them no problem."""
WORDS = (
    "an apple tree old red stone bird letters noon level seven dot rain salt torn needle stair "
    "banana rotor data silent listen tenor lion ends tin at Anna Otto NASA"
)
CHARACTERS = "abdeilnorstABDEILNORST0123456789 -!"

Function = Callable[[Any], Any]


def make_functions(specs: Sequence[Spec]) -> list[Function]:
    """Return the functions themselves, compiled at once."""
    source = "".join(
        spec.program.replace("def solve(", f"def solve_{number}(", 1)
        for number, spec in enumerate(specs)
    )
    names: dict[str, Any] = {}
    exec(compile(source, "<micro-python>", "exec"), names)
    return [names[f"solve_{number}"] for number in range(len(specs))]


def draw_input(spec: Spec, rng: random.Random) -> Any:
    """Return an argument of the kind that the function takes, often close to its constants."""
    kind = spec.kind.name
    if kind == "list":
        near = [c for c in spec.constants if isinstance(c, int)] or [0]
        low, high = rng.choice(((-9, 9), (-20, 60), (0, 30), (0, 99)))
        return [
            rng.choice(near) + rng.randint(-1, 1) if rng.random() < 0.3 else rng.randint(low, high)
            for _ in range(rng.randint(0, 9))
        ]
    if kind == "count":
        return rng.randint(0, rng.choice((9, 20, 60)))
    if kind == "digits":
        return rng.randint(0, 10 ** rng.randint(1, 7) - 1)
    if kind == "text":
        return "".join(rng.choice(CHARACTERS) for _ in range(rng.randint(0, 12))).strip()
    words = WORDS.split()
    return " ".join(rng.choice(words) for _ in range(rng.randint(0, 7)))


def is_meaningful(spec: Spec, rng: random.Random, *, num_inputs: int = 16) -> bool:
    """Return whether every part matters, and the results differ and stay small."""
    reference, *slipped = make_functions([spec, *spec.slipped(dropped_only=True)])
    inputs = [draw_input(spec, rng) for _ in range(num_inputs)]
    results = [reference(value) for value in inputs]
    if len({repr(result) for result in results}) < num_inputs // 4 or not all(
        map(is_small, results)
    ):
        return False
    return all(
        sum(result != other(value) for value, result in zip(inputs, results)) >= 2
        for other in slipped
    )


def is_small(result: Any) -> bool:
    """Return whether a result is fit to be printed."""
    if isinstance(result, list):
        return len(result) <= 100 and all(map(is_small, result))
    return abs(result) < MAX_SIZE if isinstance(result, int) else len(result) <= 400


def make_calls(spec: Spec, rng: random.Random) -> dict[str, list[dict[str, Any]]]:
    """Return public and hidden calls: `{"args": [...], "expected": ...}`.

    Args:
      spec: the function.
      rng: consumed.
    """
    reference, *slipped = make_functions([spec, *spec.slipped()])
    pool: dict[str, dict[str, Any]] = {}
    for _ in range(80):
        value = draw_input(spec, rng)
        result = reference(value)
        if is_small(result):
            pool.setdefault(repr(value), {"args": [value], "expected": result})
    calls = list(pool.values())
    public = _telling(calls)[:NUM_PUBLIC]
    rest = [call for call in calls if call not in public]
    return {"public": public, "hidden": _catching(rest, slipped)[:NUM_HIDDEN]}


def _telling(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the calls with the first of each result before the others, and empty results last."""
    seen: set[str] = set()
    first: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    for call in calls:
        text = repr(call["expected"])
        is_new = bool(call["expected"]) and text not in seen
        seen.add(text)
        (first if is_new else others).append(call)
    return first + others


def _catching(calls: list[dict[str, Any]], slipped: Sequence[Function]) -> list[dict[str, Any]]:
    """Return the calls that catch a slip which none before catches, then the others."""
    left = list(slipped)
    catching: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    for call in calls:
        still = [f for f in left if f(call["args"][0]) == call["expected"]] if left else []
        (catching if len(still) < len(left) else others).append(call)
        left = still
    return catching + others
