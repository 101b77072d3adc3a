"""Every family of public reward models: the card's scores, and the contract of a reward model."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from stepnav import build
from stepnav.build import rewards
from stepnav.core.errors import BackendError
from stepnav.core.records import Problem, Step, Trajectory
from stepnav.core.requests import Propose, Score
from stepnav.engine.checkpoint.loading import load_tokenizer
from stepnav.rewards.families.recognise import FAMILIES, open_checkpoint
from tests.engine.small_models import poll_all
from tests.rewards.public_models import MAKERS, trajectories
from tests.rewards.references import REFERENCES

MARKS = {
    "token-classes": "<|im_end|>",
    "qwen-prm": "<extra_0>",
    "math-shepherd": " ки",
    "rlhflow": "<|eot_id|>",
    "skywork": "<|endoftext|>",
    "orm": "<|im_end|>",
}
"""What each family must not find in a text."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("models")
    return {family: make(place / name) for family, (name, make) in MAKERS.items()}


@pytest.fixture(params=list(FAMILIES))
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def opened(folder: Path, **options: Any) -> Any:
    """Return a reward model that knows nothing yet; loaded once per folder and options."""
    backend = _loaded(folder, tuple(options.items()))
    backend.close()
    return backend


@lru_cache(maxsize=64)
def _loaded(folder: Path, options: tuple[tuple[str, Any], ...]) -> Any:
    return open_checkpoint(folder, device="cpu", **dict(options))


def score(backend: Any, *wanted: Trajectory) -> list[Any]:
    for ticket, trajectory in enumerate(wanted):
        backend.submit(ticket, Score(trajectory))
    answers = poll_all(backend, len(wanted))
    return [answers[ticket] for ticket in range(len(wanted))]


def values(answer: Any) -> list[float]:
    return [item.positive_prob for item in answer.items]


def test_scores_are_those_of_the_model_card(family: str, folders: dict[str, Path]) -> None:
    wanted = trajectories()
    found = score(opened(folders[family]), *wanted)
    spread = set()
    for trajectory, answer in zip(wanted, found):
        expected = REFERENCES[family](folders[family], trajectory)
        assert values(answer) == pytest.approx(expected, abs=1e-5)
        assert len(answer.items) == len(trajectory.steps)
        for item in answer.items:
            assert item.neutral_prob == 0
            assert item.negative_prob == pytest.approx(1 - item.positive_prob, abs=1e-12)
        spread.update(round(value, 3) for value in expected)
    assert len(spread) > 5  # else the comparison shows nothing


def test_a_cached_prefix_gives_what_one_pass_gives(family: str, folders: dict[str, Path]) -> None:
    for trajectory in trajectories()[2::3]:
        whole = score(opened(folders[family]), trajectory)[0]
        backend = opened(folders[family])
        for depth in range(1, len(trajectory.steps) + 1):
            prefix = Trajectory(trajectory.problem, trajectory.steps[:depth])
            (part,) = score(backend, prefix)
            assert values(part) == pytest.approx(values(whole)[:depth], abs=1e-4)


def test_a_new_step_costs_its_own_tokens(family: str, folders: dict[str, Path]) -> None:
    backend = opened(folders[family])
    trajectory = trajectories()[2]
    read = backend.runner.num_read_tokens
    for depth in range(1, len(trajectory.steps) + 1):
        (answer,) = score(backend, Trajectory(trajectory.problem, trajectory.steps[:depth]))
        totals = answer.prefix_tokens
        assert len(totals) == depth + 1
        assert list(totals) == sorted(set(totals))
        new = backend.runner.num_read_tokens - read
        read = backend.runner.num_read_tokens
        least = totals[-1] if depth == 1 else totals[-1] - totals[-2]
        assert new == least
        assert answer.usage.reward_calls == 1
        assert answer.usage.reward_tokens == new
        assert answer.usage.flops == 2 * backend.num_parameters * new
    assert backend.token_bound(Score(trajectory)) == totals[-1]
    (again,) = score(backend, trajectory)
    assert again.usage.reward_tokens == 0
    assert again.items == answer.items


def test_order_and_batch_change_nothing(family: str, folders: dict[str, Path]) -> None:
    wanted = trajectories() + trajectories()[::-1]
    together = [values(answer) for answer in score(opened(folders[family]), *wanted)]
    alone = [values(score(opened(folders[family]), one)[0]) for one in wanted[:9]]
    for one, other in zip(together, alone + alone[::-1]):
        assert one == pytest.approx(other, abs=1e-6)
    small = opened(folders[family], max_batch=2, pass_tokens=16)
    for one, other in zip(together, score(small, *wanted)):
        assert one == pytest.approx(values(other), abs=1e-6)


def test_cancelled_requests_leave_nothing_behind(family: str, folders: dict[str, Path]) -> None:
    backend = opened(folders[family], max_batch=2)
    wanted = trajectories()
    for ticket, trajectory in enumerate(wanted):
        backend.submit(ticket, Score(trajectory))
    for ticket in (0, 5, 77):
        backend.cancel(ticket)
    answers = poll_all(backend, len(wanted) - 2)
    assert set(answers) == set(range(len(wanted))) - {0, 5}
    assert backend.runner.num_running == backend.runner.num_waiting == 0
    backend.submit(90, Score(wanted[0]))
    backend.close()
    backend.close()
    assert backend.poll(0.0) == []


def test_odd_requests(family: str, folders: dict[str, Path]) -> None:
    backend = opened(folders[family])
    problem = trajectories()[0].problem
    (none,) = score(backend, Trajectory(problem))
    assert none.items == ()
    with pytest.raises(TypeError):
        backend.submit(7, Propose(Trajectory(problem)))
    (empty,) = score(backend, Trajectory(problem, (Step("\n"), Step("Then 2."))))
    assert len(empty.items) == 2


def test_a_step_beyond_the_context_is_named(family: str, folders: dict[str, Path]) -> None:
    problem = trajectories()[0].problem
    long = Trajectory(problem, (Step("One.\n"), Step("and so on " * 400), Step("Two.\n")))
    backend = opened(folders[family])
    error, fine = score(backend, long, trajectories()[0])
    assert isinstance(error, BackendError)
    assert str(error).startswith("step 2 ends at token")
    assert "reads 512 tokens" in str(error)
    assert (error.status_code, error.code) == (400, "solution_too_long")
    assert len(fine.items) == 1
    (error,) = score(backend, Trajectory(Problem("q", "so it is " * 400), (Step("One."),)))
    assert str(error).startswith(("the question ends", "step 1 ends"))


@pytest.mark.parametrize("family", list(MARKS), indirect=True)
def test_a_mark_in_a_text_is_an_error_that_names_the_step(
    family: str, folders: dict[str, Path]
) -> None:
    mark = MARKS[family]
    backend = opened(folders[family])
    problem = trajectories()[0].problem
    for number in (1, 2, 3):
        for text in (f"One {mark} more.\n", f"One{mark}", f"One.{mark}{mark}\n"):
            steps = [Step("One.\n"), Step("Two.\n"), Step("Three.\n")]
            steps[number - 1] = Step(text)
            (error,) = score(backend, Trajectory(problem, tuple(steps)))
            assert isinstance(error, BackendError)
            assert str(error).startswith(f"step {number} holds {mark.strip()!r}") or (
                family == "math-shepherd" and str(error).startswith(f"step {number} holds '▁ки'")
            )
            assert "\n" not in str(error)
    asked = Trajectory(Problem("q", f"What is{mark} this?"), (Step("One."),))
    (error,) = score(backend, asked)
    assert str(error).startswith("the question holds")
    assert (error.status_code, error.code) == (400, "unreadable")  # a retry changes nothing
    assert backend.token_bound(Score(asked)) == 0


def test_a_tokenizer_that_fails_is_an_error_of_its_request(
    family: str, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = open_checkpoint(folders[family], device="cpu")
    name = type(load_tokenizer(folders[family]))
    usual = name.encode

    def encode(self: Any, text: str, **options: Any) -> Any:
        if "€" in text:
            raise Exception("no token for €")
        return usual(self, text, **options)

    monkeypatch.setattr(name, "encode", encode)
    asked = Trajectory(Problem("q", "2 €?"), (Step("One."),))
    error, fine = score(backend, asked, trajectories()[0])
    assert "no token for €" in str(error)
    assert (error.status_code, error.code) == (400, "unreadable")
    assert len(fine.items) == 1
    assert backend.token_bound(Score(asked)) == 0


def test_separators_within_a_text_shift_nothing(family: str, folders: dict[str, Path]) -> None:
    """Newlines in and around steps, and labels in the text, which some families also use as
    marks."""
    problem = Problem("q", "Is +\n+\n- it?\n\n")
    texts = ("\n\nOne + 1 -\n", "- Two\n\n+ three\n= 4.\n\n\n", "+", "-\n\n", "    return x + 1")
    trajectory = Trajectory(problem, tuple(Step(text) for text in texts))
    (answer,) = score(opened(folders[family]), trajectory)
    assert values(answer) == pytest.approx(
        REFERENCES[family](folders[family], trajectory), abs=1e-5
    )


def test_probabilities_that_underflow_keep_their_place(
    family: str, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outputs 2,000 times as large give probabilities of 0 and 1 in float32."""
    trajectory = trajectories()[2]
    usual = values(score(opened(folders[family]), trajectory)[0])
    backend = opened(folders[family])
    backend_take = backend._reader.take
    monkeypatch.setattr(
        backend._reader, "take", lambda asked, logits: backend_take(asked, logits * 2000)
    )
    found = score(backend, trajectory)[0]
    assert len(found.items) == len(usual)
    for probability, item in zip(usual, found.items):
        assert item.positive_prob == pytest.approx(float(probability > 0.5), abs=1e-3)
        assert math.isfinite(item.negative_prob)
        assert item.negative_prob + item.positive_prob == pytest.approx(1)


def test_an_output_that_is_no_number_names_the_step(
    family: str, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    trajectory = trajectories()[2]
    (whole,) = score(opened(folders[family]), trajectory)
    backend = opened(folders[family])
    reader = backend._reader
    take, whole_row = reader.take, len(reader.reading(trajectory).rows[-1].tokens)

    def spoiled(asked: Any, logits: Any) -> None:
        changed = logits.clone()
        for index, (row, position) in enumerate(asked):
            if len(row.tokens) == whole_row and position == row.wanted[-1]:
                changed[index] = float("nan")
        take(asked, changed)

    monkeypatch.setattr(reader, "take", spoiled)
    (error,) = score(backend, trajectory)
    assert isinstance(error, BackendError)
    assert "output for step 4 is not a number" in str(error)
    assert len(whole.items) == 4


def test_the_command_line_opens_each_by_its_folder(family: str, folders: dict[str, Path]) -> None:
    task = build.load_task("arithmetic")
    local = {"device": "cpu", "dtype": "float32", "max_batch": 8}
    trajectory = trajectories()[1]
    expected = values(score(opened(folders[family]), trajectory)[0])
    for name in (str(folders[family]), f"{family}:{folders[family]}"):
        (answer,) = score(rewards.open_task_reward(name, task, local), trajectory)
        assert values(answer) == pytest.approx(expected, abs=1e-6)


def test_the_makers_know_every_family() -> None:
    assert list(MAKERS) == list(REFERENCES) == list(FAMILIES)


def test_usage_is_what_was_read(folders: dict[str, Path], family: str) -> None:
    trajectory = trajectories()[2]
    whole = opened(folders[family]).token_bound(Score(trajectory))
    for pass_tokens in (whole, whole - 1, whole - 2, 7):
        backend = opened(folders[family], max_batch=1, pass_tokens=pass_tokens)
        runner = backend.runner
        for _ in range(2):
            before = runner.num_read_tokens
            (answer,) = score(backend, trajectory)
            assert answer.usage.reward_tokens == runner.num_read_tokens - before
