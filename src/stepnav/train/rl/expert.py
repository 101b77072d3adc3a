"""Expert iteration: a policy learns from the solutions that its own searches find, in rounds.

Source: Anthony et al. 2017 (arXiv 1705.08439); of language models STaR (Zelikman et al. 2022) and
ReST-EM (Singh et al. 2023), which take samples for searches and begin each fine-tuning with the
first model (`from_first`). Differs in: any strategy searches, and what is kept may be chosen by the
search's own P(right), where there is no reference answer.

A round is a folder: `search` (a run folder as of `bench`), `kept.jsonl`, `model`, and `round.json`,
which is written last: a round that has it is done.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from stepnav.core.errors import ConfigError, DataError
from stepnav.core.records import Trajectory
from stepnav.files.atomic import write_text
from stepnav.train.pairs import Pair, read_pairs
from stepnav.train.saving import TrainReport

By = Literal["grade", "right-prob"]
BY: tuple[By, ...] = ("grade", "right-prob")

MODEL, SEARCH, KEPT, ROUND = "model", "search", "kept.jsonl", "round.json"


@dataclass(frozen=True, slots=True)
class Found:
    """What one search found.

    Attributes:
      solution: the chosen one; None if there is none.
      correct: its grade, None where there is none.
      right_prob: how likely the search says it is right, None of strategies that do not say.
      policy_tokens, reward_tokens: what the search cost.
    """

    solution: Trajectory | None
    correct: bool | None
    right_prob: float | None
    policy_tokens: int
    reward_tokens: int


@dataclass(frozen=True, slots=True)
class RoundReport:
    """What a round did.

    Attributes:
      number: from 1.
      searches, correct, ungraded: how many, and how many of them graded right, and not at all.
      kept: solutions that were learnt from.
      policy_tokens, reward_tokens: of the searches.
      labelled_tokens: under the loss, in one epoch.
      steps: optimizer steps.
    """

    number: int
    searches: int
    correct: int
    kept: int
    policy_tokens: int
    reward_tokens: int
    labelled_tokens: int
    steps: int
    ungraded: int = 0


SearchRound = Callable[[str, int, Path], Sequence[Found]]
"""(policy's folder, number of the round, run folder) to what was found; goes on if killed."""

Finetune = Callable[[str, Sequence[Pair], Path], TrainReport]
"""(model to begin with, pairs, folder of the new model) to the report; goes on if killed."""


def keep(found: Sequence[Found], *, by: By, least: float) -> list[Pair]:
    """Return the solutions to learn from, each once, in order.

    Args:
      found: of a round's searches.
      by: "grade" keeps what is graded right, "right-prob" what the search takes for right with a
        probability of at least `least`, whatever the grade.
      least: that probability.
    Raises:
      ConfigError: by "right-prob", and no search says how likely it is right.
    """
    if by == "right-prob" and found and all(one.right_prob is None for one in found):
        raise ConfigError(
            "--keep right-prob needs a strategy that says how likely its answer is right; use nav, "
            "or --keep grade"
        )
    pairs = (
        Pair(one.solution.problem.question, one.solution.text)
        for one in found
        if one.solution is not None and one.solution.is_finished and _is_good(one, by, least)
    )
    return list(dict.fromkeys(pairs))


def _is_good(found: Found, by: By, least: float) -> bool:
    if by == "grade":
        return found.correct is True
    return found.right_prob is not None and found.right_prob >= least


def improve(
    model: str,
    out: Path,
    *,
    rounds: int,
    search: SearchRound,
    finetune: Finetune,
    by: By = "grade",
    least: float = 0.9,
    from_first: bool = False,
    tell: Callable[[RoundReport], None] = lambda report: None,
) -> list[RoundReport]:
    """Run the rounds that are not done, and return the reports of all; `round_model` has the model.

    Args:
      model: folder of the model to begin with.
      out: folder of the rounds.
      rounds: how many.
      search: finds solutions with a policy.
      finetune: fits a model on them.
      by, least: as of `keep`.
      from_first: whether every round fine-tunes the first model, not the last round's.
      tell: told of each round that is done now.
    Raises:
      ConfigError: as of `keep`.
      DataError: a round kept nothing.
    """
    reports = []
    for number in range(1, rounds + 1):
        policy = model if number == 1 else str(round_model(out, number - 1))
        begin = model if from_first else policy
        reports.append(
            _run_round(
                out / f"round-{number}", number, policy, begin, search, finetune, by, least, tell
            )
        )
    return reports


def round_model(out: Path, number: int) -> Path:
    """Return the folder of a round's model."""
    return out / f"round-{number}" / MODEL


def _run_round(
    folder: Path,
    number: int,
    policy: str,
    begin: str,
    search: SearchRound,
    finetune: Finetune,
    by: By,
    least: float,
    tell: Callable[[RoundReport], None],
) -> RoundReport:
    """Return the report of a round, having done what is left of it."""
    done = folder / ROUND
    if done.exists():
        return RoundReport(**json.loads(done.read_text()))
    folder.mkdir(parents=True, exist_ok=True)
    found = search(policy, number, folder / SEARCH)
    pairs = keep(found, by=by, least=least)
    if not pairs:
        raise DataError(
            f"round {number} kept none of {len(found)} solutions; take more problems, another "
            "--strategy, or a lower --least-right-prob"
        )
    write_text(folder / KEPT, "".join(json.dumps(asdict(pair)) + "\n" for pair in pairs))
    fitted = finetune(begin, read_pairs(folder / KEPT), folder / MODEL)
    report = RoundReport(
        number=number,
        searches=len(found),
        correct=sum(one.correct is True for one in found),
        kept=len(pairs),
        policy_tokens=sum(one.policy_tokens for one in found),
        reward_tokens=sum(one.reward_tokens for one in found),
        labelled_tokens=fitted.labels,
        steps=fitted.fit.steps,
        ungraded=sum(one.correct is None for one in found),
    )
    write_text(done, json.dumps(asdict(report)) + "\n")
    tell(report)
    return report
