"""The journal of an evaluation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stepnav.core.backend import Answer
from stepnav.core.budget import Usage
from stepnav.core.errors import BackendError, DataError
from stepnav.core.records import StepScore, Trajectory
from stepnav.measure.prm.case import Case
from stepnav.measure.prm.cases import read_cases
from stepnav.measure.prm.scores import FILE_NAME, ScoresFile, folder_digest, score_cases
from stepnav.rewards.scripted import ScriptedReward
from tests.measure.prm import reward_files

SETTINGS = {"kind": "processbench", "reward_digest": "a", "data_digest": "b"}


class Counting(ScriptedReward):
    """Scores a step by its length; can stop after some answers."""

    def __init__(self, stop_after: int | None = None) -> None:
        super().__init__(
            lambda t: StepScore(
                1 / (1 + len(t.steps[-1].text)), 0.0, 1 - 1 / (1 + len(t.steps[-1].text))
            )
        )
        self.num_answered = 0
        self.stop_after = stop_after

    def poll(self, timeout_s: float) -> list[tuple[int, Answer | BackendError]]:
        if self.num_answered == self.stop_after:
            raise KeyboardInterrupt
        self.num_answered += 1
        ticket, request = self._waiting.popleft()
        return [(ticket, self._answer(request.trajectory))]


def cases(tmp_path: Path) -> tuple[Case, ...]:
    return read_cases(reward_files.processbench(tmp_path / "data.jsonl", 4)).items


def sizes(items: tuple[Case, ...]) -> list[int]:
    return [len(case.steps) for case in items]


def test_a_killed_evaluation_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    items, path = cases(tmp_path), tmp_path / FILE_NAME
    with pytest.raises(KeyboardInterrupt), ScoresFile(path, SETTINGS, sizes(items)) as file:
        score_cases(Counting(stop_after=3), items, file)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"case": 5, "id": "ca')  # torn by the kill
    backend = Counting()
    done = []
    with ScoresFile(path, SETTINGS, sizes(items)) as file:
        assert len(file.scores) == 3
        assert score_cases(backend, items, file, progress=done.append) == {}
        resumed = dict(file.scores)
    assert backend.num_answered == len(items) - 3
    assert done == list(range(4, len(items) + 1))
    with ScoresFile(tmp_path / "other.jsonl", SETTINGS, sizes(items)) as file:
        score_cases(Counting(), items, file)
        assert resumed == file.scores
        tokens = file.reward_tokens
    with ScoresFile(path, SETTINGS, sizes(items)) as file:
        assert file.scores == resumed
        assert file.reward_tokens == tokens > 0


@pytest.mark.parametrize("changed", ["reward_digest", "data_digest", "kind"])
def test_scores_of_something_else_are_refused(tmp_path: Path, changed: str) -> None:
    items, path = cases(tmp_path), tmp_path / FILE_NAME
    with ScoresFile(path, SETTINGS, sizes(items)) as file:
        score_cases(Counting(), items, file)
    before = path.read_bytes()
    with pytest.raises(DataError, match=f"made with other settings .{changed}: "):
        ScoresFile(path, {**SETTINGS, changed: "c"}, sizes(items))
    assert path.read_bytes() == before


def test_scores_whose_settings_were_edited_are_refused(tmp_path: Path) -> None:
    items, path = cases(tmp_path), tmp_path / FILE_NAME
    with ScoresFile(path, SETTINGS, sizes(items)) as file:
        score_cases(Counting(), items, file)
    path.write_text(path.read_text().replace('"reward_digest": "a"', '"reward_digest": "c"'))
    with pytest.raises(DataError, match="were edited after the run"):
        ScoresFile(path, {**SETTINGS, "reward_digest": "c"}, sizes(items))


def test_nothing_scored_binds_nothing(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    with ScoresFile(path, SETTINGS, [1, 1, 1]):
        pass
    with ScoresFile(path, {**SETTINGS, "kind": "prm800k"}, [1, 1, 1]):
        pass


@pytest.mark.parametrize(
    "line",
    [
        '{"case": 99, "id": "x", "probs": [[0, 0, 1]], "tokens": 1}',
        '{"case": 0, "id": "x", "probs": [[0, 0, 2]], "tokens": 1}',
        '{"case": 0, "id": "x", "probs": [[0, 1]], "tokens": 1}',
        '{"case": 0, "id": "x", "probs": [], "tokens": 1}',
        '{"case": 0, "id": "x", "probs": [[0, 0, 1], [0, 0, 1]], "tokens": 1}',
        '{"case": 0}',
        "[]",
        "what",
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / FILE_NAME
    path.write_text(json.dumps({"format": 1, **SETTINGS}) + "\n" + line + "\n")
    with pytest.raises(DataError, match="line 2: not of an evaluation"):
        ScoresFile(path, SETTINGS, [1, 1, 1])


def test_a_solution_that_cannot_be_scored_is_told_and_others_are_scored(tmp_path: Path) -> None:
    class TooLong(Counting):
        def _answer(self, trajectory: Trajectory) -> Answer:
            if trajectory.problem.id == "case-2":
                return BackendError("too long")  # type: ignore[return-value]
            return super()._answer(trajectory)

    items = cases(tmp_path)
    with ScoresFile(tmp_path / FILE_NAME, SETTINGS, sizes(items)) as file:
        assert score_cases(TooLong(), items, file) == {2: "too long"}
        assert sorted(file.scores) == [n for n in range(len(items)) if n != 2]


def test_another_number_of_scores_than_steps_is_an_error(tmp_path: Path) -> None:
    class Short(Counting):
        def _answer(self, trajectory: Trajectory) -> Answer:
            return Answer((StepScore(0.0, 0.0, 1.0),), Usage(reward_calls=1))

    items = cases(tmp_path)
    with (
        ScoresFile(tmp_path / FILE_NAME, SETTINGS, sizes(items)) as file,
        pytest.raises(DataError, match="1 scores for"),
    ):
        score_cases(Short(), items, file)


def test_a_models_digest_is_of_what_loading_reads(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "README.md").write_text("card")
    first = folder_digest(tmp_path)
    (tmp_path / "README.md").write_text("another card")
    assert folder_digest(tmp_path) == first
    (tmp_path / "model.safetensors").write_bytes(b"weightz")
    assert folder_digest(tmp_path) != first
