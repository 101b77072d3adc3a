"""Whether a search found a right solution, chosen or not.

The share of problems of which that is so is the coverage (Brown et al. 2024, arXiv 2407.21787):
what a perfect choice among a search's own solutions would reach. What accuracy lacks of it is lost
in choosing; where nothing right was found, no reward model could have chosen it.
"""

from __future__ import annotations

from collections.abc import Callable

from stepnav.core.outcome import SearchResult
from stepnav.core.records import Problem


class Coverage:
    """Grades what searches found; an answer that several of them found is graded once.

    Args:
      extract: finds the answer in a solution's text.
      grade: (problem, answer) to whether the answer is right, None if that cannot be told.
    """

    def __init__(
        self,
        extract: Callable[[str], str | None],
        grade: Callable[[Problem, str | None], bool | None],
    ) -> None:
        self._extract = extract
        self._grade = grade
        self._known: dict[tuple[str, str], bool | None] = {}

    def has_right(self, result: SearchResult, correct: bool | None) -> bool | None:
        """Return whether one of a search's finished solutions is right.

        None where none is known to be, and one could not be graded.

        Args:
          result: the search's.
          correct: whether its own answer is right.
        """
        grades = {correct}
        if not correct:
            texts = [node.trajectory.text for node in result.tree.nodes if node.is_finished]
            grades |= {self._graded(result.tree.problem, text) for text in texts}
        return True if True in grades else None if None in grades else False

    def _graded(self, problem: Problem, text: str) -> bool | None:
        """Return whether a solution is right; None where a task's own code cannot tell."""
        try:
            answer = self._extract(text)
        except (Exception, SystemExit):  # a fault there ends no more than a search
            return None
        if answer is None:
            return False
        place = problem.id, answer
        if place not in self._known:
            self._known[place] = self._grade(problem, answer)
        return self._known[place]
