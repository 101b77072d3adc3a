import pytest

from stepnav.labels.records import StepRecord
from stepnav.rewards.local.step_format import StepFormat
from stepnav.tasks.arithmetic import problems as arithmetic
from stepnav.zoo.checked import labelled
from stepnav.zoo.tokenizer import train_tokenizer
from stepnav.zoo.training.batches import IGNORED
from stepnav.zoo.training.targets import STEP_END, encode_records

NEGATIVE, NEUTRAL, POSITIVE = 0, 1, 2


@pytest.fixture(scope="module")
def tokenizer() -> object:
    return train_tokenizer(["Now she has 24 + 15 = 39 marbles.\n"] * 50, vocab_size=300)


def targets_of(tokenizer: object, record: StepRecord) -> list[int]:
    examples = encode_records(tokenizer, [record], StepFormat())
    return examples.targets.tolist()  # type: ignore[no-any-return]


def step_targets(
    tokenizer: object, text: str, label: int | None, wrong_from: int | None
) -> list[int]:
    record = StepRecord("Q", (text,), (label,), (wrong_from,))
    prompt = len(StepFormat().encode_prompt(tokenizer, "Q"))
    targets = targets_of(tokenizer, record)
    assert set(targets[:prompt]) == {IGNORED}
    return targets[prompt:]


def test_a_right_step_is_labelled_at_every_token(tokenizer: object) -> None:
    targets = step_targets(tokenizer, "1 + 2 = 3", 1, None)
    assert targets == [POSITIVE] * (len(targets) - 1) + [POSITIVE + STEP_END]


def test_a_wrong_step_is_labelled_from_the_first_wrong_character(tokenizer: object) -> None:
    # tokens: "1", " + ", "2", " = ", "4", "\n"
    targets = step_targets(tokenizer, "1 + 2 = 4", -1, 8)
    assert targets == [IGNORED] * 4 + [NEGATIVE, NEGATIVE + STEP_END]


def test_a_step_that_breaks_off_is_labelled_at_its_separator(tokenizer: object) -> None:
    assert step_targets(tokenizer, "1 + 2", -1, 5) == [IGNORED] * 3 + [NEGATIVE + STEP_END]


def test_a_masked_step_has_no_targets(tokenizer: object) -> None:
    assert set(step_targets(tokenizer, "1 + 2 = 3", None, None)) == {IGNORED}


def test_solutions_are_labelled_up_to_their_first_error() -> None:
    problem = arithmetic.load("dev", 1)[0]
    steps = arithmetic.solve(problem.id)
    record = labelled(arithmetic.rate_steps, problem, steps[0] + "Nonsense.\n" + "".join(steps[1:]))
    assert record.completions == (steps[0], "Nonsense.\n")
    assert record.labels[-1] == -1
    assert record.wrong_from is not None
    assert record.wrong_from[0] is None
