"""Tells when a question is unlike those that a policy knows, instead of a confident wrong answer.

Two signs: how likely the policy finds the question's own text (a model that has learned its
questions knows strange ones by that), and how likely it finds the solution's least likely step.
Where the line is drawn is measured when the models are made (`zoo/known.py`), on held-out questions
and on texts from elsewhere, and saved beside the policy's weights. Absent: any promise. A question
may look familiar and be answered wrong.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from stepnav.core.errors import ConfigError
from stepnav.core.outcome import SearchResult
from stepnav.core.records import Trajectory
from stepnav.files.atomic import write_text
from stepnav.files.versioned import stamped, unstamped

FILE_NAME = "stepnav_known.json"


@dataclass(frozen=True, slots=True)
class Known:
    """Where the line is drawn.

    Attributes:
      min_question_logprob: least log-probability of a question, per character, that is still
        familiar.
      min_step_logprob: least log-probability of a solution's least likely step that is still
        believed.
    """

    min_question_logprob: float
    min_step_logprob: float

    def save(self, folder: Path) -> None:
        """Write beside a policy's weights, whole or not at all."""
        write_text(folder / FILE_NAME, json.dumps(stamped(asdict(self)), indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Known | None:
        """Return what is saved beside a policy's weights, None if nothing is.

        Raises:
          ConfigError: the file is there and is not such a file.
          DataError: it is of another version.
        """
        path = folder / FILE_NAME
        if not path.exists():
            return None
        try:
            fields = unstamped(json.loads(path.read_text()), path)
            return cls(**{name: float(value) for name, value in fields.items()})
        except (ValueError, TypeError, AttributeError) as error:
            raise ConfigError(f"{path} is broken ({error})") from None

    def doubt(self, question_logprob: float, result: SearchResult) -> str | None:
        """Return why a search's answer should not be trusted; None if nothing speaks against it.

        Args:
          question_logprob: per character of the question, under the policy.
          result: what the search found.
        """
        if question_logprob < self.min_question_logprob:
            return "the question is unlike those that the model has learned"
        solution = result.outcome.trajectory
        if solution is None or not solution.is_finished:
            return "no whole solution was found"
        if least_logprob(solution) < self.min_step_logprob:
            return "the model is not sure of its steps"
        return None


def least_logprob(solution: Trajectory) -> float:
    """Return the log-probability of a solution's least likely step; 0 where none is known."""
    known = [step.logprob for step in solution.steps if step.logprob is not None]
    return min(known, default=0.0)
