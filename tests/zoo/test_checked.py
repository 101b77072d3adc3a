"""Labels by an exact checker: the repeats among them."""

from stepnav.zoo.plain import DOMAIN


def test_a_repeat_is_neutral_and_all_else_as_it_was() -> None:
    problems = [DOMAIN.problem(DOMAIN.training_id(1, number)) for number in range(12)]

    records = DOMAIN.label(problems, lambda problems, progress: [[] for _ in problems], 0, _quiet)
    assert len(records) == len(problems)
    for problem, record in zip(problems, records, strict=True):
        assert record.labels.count(0) == 1
        assert set(record.labels) == {0, 1}
        again = record.completions[record.labels.index(0)]
        assert record.completions.count(again) == 2
        assert len(record.completions) == len(DOMAIN.solve(problem.id)) + 1


def test_repeats_are_a_set_of_their_own() -> None:
    problems = DOMAIN.load("dev", 3, 0)
    samples = [[DOMAIN.solution(problem.id)] for problem in problems]
    found = DOMAIN.hold_out(problems, samples, 0, _quiet)
    assert [held_out.name for held_out in found] == ["samples", "repeats"]
    assert all(name in DOMAIN.cards.held_out for name in ("samples", "repeats"))


def _quiet(done: int, total: int) -> None:
    """Say nothing."""
