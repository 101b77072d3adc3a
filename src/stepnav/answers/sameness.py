r"""When two forms of answers say the same.

Kinds are kept apart: a set is no ordered pair, an equation is not its right side, a list counts its
members and a set does not. What a solver may leave out is forgiven: a unit, the name of a number
that was asked for (`x=5` for 5, but not for `y=5`), the braces around a list of solutions.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from stepnav.answers import value as v
from stepnav.answers.expression import STRICT, Expression, UnreadableError, same, samples
from stepnav.answers.forms import (
    INFINITY,
    LIST,
    MINUS_INFINITY,
    RATIO,
    SET,
    SYSTEM,
    Choice,
    Form,
    Items,
    Matrix,
    Moment,
    Named,
    Quantity,
    Relation,
    Words,
)
from stepnav.answers.region import Region
from stepnav.answers.value import Value

ANGLE = {"angle": 1}
PERCENT = {"percent": 1}


def equal(left: Form, right: Form) -> bool:
    """Return whether two answers say the same.

    Raises:
      TooBigError: a value is too big to be worked out.
      UnreadableError: an expression has no value.
    """
    return _equal(left, right) or (type(left) is not type(right) and _equal(right, left))


def _equal(left: Form, right: Form) -> bool:
    """Return the same with the leniencies for `left` only."""
    if isinstance(left, Named):
        if isinstance(right, Named):
            return left.name == right.name and equal(left.form, right.form)
        return equal(left.form, right)
    if isinstance(left, Choice):
        return _equal_choice(left, right)
    if isinstance(left, Region):
        other = as_region(right)
        return other is not None and left.is_same(other)
    if isinstance(left, Quantity) and isinstance(right, Quantity):
        return _equal_quantities(left, right)
    if isinstance(left, Items):
        return _equal_items(left, right)
    if isinstance(left, Matrix):
        return _equal_matrix(left, right)
    if isinstance(left, Relation):
        if isinstance(right, Relation):
            return left.sign == right.sign and _is_multiple(left, right)
        return left.sign != "=" and _describes(left, right)
    if isinstance(left, Moment) and isinstance(right, Moment):
        return left.seconds == right.seconds and (
            left.half == right.half or "" in (left.half, right.half)
        )
    return isinstance(left, Words) and left == right


def _equal_choice(left: Choice, right: Form) -> bool:
    if isinstance(right, Choice):
        return left.letter == right.letter and (
            left.rest is None or right.rest is None or equal(left.rest, right.rest)
        )
    if left.rest is not None:
        return equal(left.rest, right)
    return right == Words(left.letter.lower())


def _equal_quantities(left: Quantity, right: Quantity) -> bool:
    a, b = left.unit, right.unit
    if a is not None and b is not None:
        a, b = a.beside(b), b.beside(a)  # of a price, either part may be left out
        if a.dimension != b.dimension:
            return False
        if (a.factor, a.pi_power) != (b.factor, b.pi_power):
            return same(_scaled(left.expression, a.size()), _scaled(right.expression, b.size()))
    if same(left.expression, right.expression):
        return True
    return any(
        _equal_without_unit(one, other.expression)
        for one, other in ((left, right), (right, left))
        if one.unit is not None and other.unit is None
    )


def _equal_without_unit(left: Quantity, right: Expression) -> bool:
    """Return whether a plain number is a percentage, an angle or a dozen written out."""
    assert left.unit is not None, "a quantity without a unit is compared as an expression"
    if left.unit.dimension == PERCENT:
        return same(_scaled(left.expression, Fraction(1, 100)), right)
    if left.unit.dimension == ANGLE:
        degree = v.divide(v.context().pi + 0, Fraction(180))
        return same(_scaled(left.expression, v.multiply(left.unit.size(), degree)), right)
    is_count = left.unit.dimension == {"count": 1}
    return is_count and same(_scaled(left.expression, left.unit.factor), right)


def _scaled(expression: Expression, factor: Value) -> Expression:
    return Expression(lambda point: v.multiply(factor, expression.run(point)), expression.names)


def _equal_items(left: Items, right: Form) -> bool:
    if isinstance(right, Items):
        return _equal_brackets(left, right)
    if left.brackets == RATIO:
        if isinstance(right, Moment):
            return left.moment is not None and equal(left.moment, right)
        return (
            isinstance(right, Quantity) and len(left.members) == 2 and equal(_quotient(left), right)
        )
    is_single = left.brackets in (LIST, SET) and len(left.members) == 1
    return is_single and equal(left.members[0], right)


def _equal_brackets(left: Items, right: Items) -> bool:
    kinds = {left.brackets, right.brackets}
    if kinds <= {LIST, SET}:
        if kinds == {SET}:
            return _contains_all(left, right) and _contains_all(right, left)
        return _is_permutation(left.members, right.members)
    if kinds == {RATIO}:
        return _is_proportional(left, right)
    if SYSTEM in kinds and kinds & {SYSTEM, LIST, "()"} == kinds and len(kinds) > 1:
        return _all_equal(_unnamed(left), _unnamed(right))
    return len(kinds) == 1 and _all_equal(left.members, right.members)


def _unnamed(items: Items) -> list[Form]:
    return [member.form if isinstance(member, Named) else member for member in items.members]


def _all_equal(left: Sequence[Form], right: Sequence[Form]) -> bool:
    return len(left) == len(right) and all(map(equal, left, right))


def _contains_all(outer: Items, inner: Items) -> bool:
    return all(any(equal(one, other) for other in outer.members) for one in inner.members)


def _is_permutation(left: Sequence[Form], right: Sequence[Form]) -> bool:
    """Return whether each member has an equal one of its own.

    Of a label that both sides have, the members must be equal; one that only one side has may be
    another word for any.
    """
    if len(left) != len(right):
        return False
    labels, others = _labels(left), _labels(right)
    shared = (set(labels) & set(others)) - {frozenset()}
    rest = list(zip(right, others))
    for member, label in zip(left, labels):
        found = next(
            (
                i
                for i, (other, its) in enumerate(rest)
                if (label == its or shared.isdisjoint((label, its))) and equal(member, other)
            ),
            None,
        )
        if found is None:
            return False
        del rest[found]
    return True


def _labels(members: Sequence[Form]) -> list[frozenset[str]]:
    """Return the words after each member, without those after every one."""
    found = [m.label if isinstance(m, Quantity) else frozenset() for m in members]
    common = found[0].intersection(*found) if len(found) > 1 else frozenset()
    return [label - common for label in found]


def _is_proportional(left: Items, right: Items) -> bool:
    if left.moment and right.moment:
        return equal(left.moment, right.moment)
    if len(left.members) != len(right.members):
        return False
    a, b = (
        [member.expression for member in side.members if isinstance(member, Quantity)]
        for side in (left, right)
    )
    return all(same(_product(a[0], y), _product(x, b[0])) for x, y in zip(a, b))


def _product(left: Expression, right: Expression) -> Expression:
    return Expression(
        lambda point: v.multiply(left.run(point), right.run(point)), left.names | right.names
    )


def _quotient(ratio: Items) -> Quantity:
    top, bottom = (m.expression for m in ratio.members if isinstance(m, Quantity))
    return Quantity(
        Expression(lambda p: v.divide(top.run(p), bottom.run(p)), top.names | bottom.names)
    )


def _equal_matrix(left: Matrix, right: Form) -> bool:
    if isinstance(right, Matrix):
        return len(left.rows) == len(right.rows) and all(map(_all_equal, left.rows, right.rows))
    if not isinstance(right, Items) or right.brackets not in ("()", "[]"):
        return False
    if len(left.rows) == 1:
        return _all_equal(left.rows[0], right.members)
    return len(left.rows[0]) == 1 and _all_equal([row[0] for row in left.rows], right.members)


def _is_multiple(left: Relation, right: Relation) -> bool:
    """Return whether one side is the other times a constant, which is positive in inequalities."""
    if left.difference.names != right.difference.names:
        return False
    pairs = samples(left.difference, right.difference)
    one = next(((a, b) for a, b in pairs if not v.is_zero(b)), None)
    if one is None or v.is_zero(one[0]):
        return False
    factor = v.divide(*one)
    if left.sign not in ("=", "\\ne") and v.is_negative(factor):
        return False
    return all(v.same(a, v.multiply(factor, b)) for a, b in pairs)


def _describes(relation: Relation, form: Form) -> bool:
    """Return whether an inequality in one letter holds just in a set of numbers."""
    names = relation.difference.names
    region = as_region(form.form if isinstance(form, Named) else form)
    if region is None or len(names) != 1 or (isinstance(form, Named) and {form.name} != names):
        return False
    (name,) = names

    def holds(number: Value) -> bool:
        try:
            found = relation.difference.run({name: number, STRICT: True})
        except v.OutsideError:
            return False
        if v.is_zero(found):
            return relation.sign == "\\le"
        return v.is_negative(found) or relation.sign == "\\ne"

    return region.agrees(holds)


def as_region(form: Form) -> Region | None:
    """Return the set of real numbers that a form states, None if it states none.

    A pair in round brackets is read as an open interval.
    """
    if isinstance(form, Region):
        return form
    if not isinstance(form, Items):
        return None
    if form.brackets == SET:
        points = [_bound(member) for member in form.members]
        if any(point is None or isinstance(point, float) for point in points):
            return None
        return Region.of(*((point, point, True, True) for point in points))
    if len(form.members) != 2 or form.brackets not in ("()", "[]", "(]", "[)"):
        return None
    low, high = (_bound(member) for member in form.members)
    if low is None or high is None or not v.is_less(low, high):
        return None
    return Region.of((low, high, form.brackets[0] == "[", form.brackets[1] == "]"))


def _bound(form: Form) -> Value | None:
    if form in (INFINITY, MINUS_INFINITY):
        return float("inf") if form == INFINITY else float("-inf")
    if not isinstance(form, Quantity):
        return None
    try:
        value = form.expression.constant()
    except UnreadableError:
        return None
    return value if value is not None and v.is_real(value) else None
