import pytest

from stepnav.zoo.known import draw_line


def test_the_line_is_where_the_two_are_told_apart_best() -> None:
    good = [float(number) for number in range(100)]
    assert draw_line(good, [-5.0, -4.0], 0.05) == 0.0
    assert draw_line(good, [1.5] * 9, 0.05) == 2.0


def test_few_of_the_good_are_doubted_however_many_bad_that_would_find() -> None:
    good = [float(number) for number in range(100)]
    line = draw_line(good, [50.0] * 1000, 0.03)
    assert sum(value < line for value in good) <= 0.03 * len(good)


@pytest.mark.parametrize("bad", [[], [7.0]])
def test_without_bad_ones_below_none_of_the_good_is_doubted(bad: list[float]) -> None:
    assert draw_line([1.0, 2.0, 3.0], bad, 0.05) == 1.0
