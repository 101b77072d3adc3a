from __future__ import annotations

import pytest

from stepnav.mutate.program.bytecode import fingerprint
from stepnav.tasks.inputs.calls import known_calls
from stepnav.tasks.inputs.fuzz import fuzz_inputs
from stepnav.tasks.inputs.values import canonical

LONG = 10**5000


@pytest.mark.parametrize("wrap", [lambda n: n, lambda n: [n], lambda n: {n: {n}}, range])
def test_values_of_any_length_are_told_apart(wrap) -> None:
    assert canonical(wrap(LONG)) == canonical(wrap(LONG))
    assert hash(canonical(wrap(LONG))) == hash(canonical(wrap(LONG)))
    assert canonical(wrap(LONG)) != canonical(wrap(LONG + 1))


def test_equal_values_of_other_types_are_told_apart() -> None:
    values = [1, True, 1.0, 1 + 0j, "1", (1,), [1], None, 0.0, -0.0, range(1), range(0, 1, 2)]
    assert len({canonical(value) for value in values}) == len(values)
    assert canonical(float("nan")) == canonical(float("nan"))


def test_literals_of_more_digits_than_python_writes() -> None:
    text = f"assert f({hex(LONG)}) == 1\nassert f({hex(LONG + 7)}) == 2\n"
    calls = known_calls([text], ["f"])
    assert [call.args for call in calls] == [(LONG,), (LONG + 7,)]
    drawn = fuzz_inputs(calls, 5, seed=0)
    assert len({call.args for call in drawn} | {(LONG,), (LONG + 7,)}) == len(drawn) + 2
    assert fingerprint(f"x = {hex(LONG)}") != fingerprint(f"x = {hex(LONG + 1)}")
