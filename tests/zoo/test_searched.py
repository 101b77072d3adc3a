"""Labels of what searches draw: every step once, and steps that samples do not have."""

from collections import Counter

from stepnav.labels.records import StepRecord
from stepnav.zoo import MODELS_FOLDER
from stepnav.zoo.arithmetic import DOMAIN
from stepnav.zoo.searched import labelled_once, search_sampler


def test_shared_steps_are_labelled_in_the_first_record_only() -> None:
    records = [
        StepRecord("q", ("a", "b"), (1, -1), (None, 0)),
        StepRecord("q", ("a", "c", "d"), (1, 0, 1), (None, None, None)),
        StepRecord("q", ("a", "c"), (1, 0), (None, None)),
        StepRecord("other", ("a",), (1,)),
    ]
    assert labelled_once(records) == [
        records[0],
        StepRecord("q", ("a", "c", "d"), (None, 0, 1), (None, None, None)),
        records[3],
    ]


def test_all_paths_of_a_search_are_labelled() -> None:
    problems = [DOMAIN.problem(DOMAIN.training_id(1, number)) for number in range(6)]
    sampler = search_sampler(
        MODELS_FOLDER / DOMAIN.policy_name, MODELS_FOLDER / DOMAIN.prm_name, seed=0
    )
    done: list[int] = []
    records = labelled_once(
        DOMAIN.label(problems, sampler, 0, lambda number, of: done.append(number))
    )
    assert done == [1, 2, 3, 4, 5, 6]
    assert {record.prompt for record in records} == {problem.question for problem in problems}
    labelled = Counter(
        (record.prompt, record.completions[: place + 1])
        for record in records
        for place, label in enumerate(record.labels)
        if label is not None
    )
    assert set(labelled.values()) == {1}
    siblings = Counter((prompt, steps[:-1]) for prompt, steps in labelled)
    assert max(siblings.values()) > 3, "a search draws again where it was not content"
    assert {-1, 1} <= {label for record in records for label in record.labels}
