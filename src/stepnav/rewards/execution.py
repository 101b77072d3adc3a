"""A reward model for code that runs the program on its public tests.

While a program is unfinished nothing can be run, so every step is rated +1 as long as the text up
to it could still become a program, and -1 once no further text can mend its syntax. A finished
program is run: its last step is +1 if all public tests pass, -1 if one fails or it does not parse,
and 0 if there is no public test to say so. Earlier steps keep their +1: which of them is at fault
is not known. Hidden tests, by which a program is graded, are never seen here.
"""

from __future__ import annotations

from collections.abc import Callable

from stepnav.core.records import Problem, Rating, StepScore, Trajectory
from stepnav.rewards.scripted import ScriptedReward

ParsesSoFar = Callable[[Problem, str], bool]
"""(problem, text of the solution so far) to whether its syntax can still become right."""
PassesPublic = Callable[[Problem, str], "bool | None"]
"""(problem, finished solution's text) to whether it passes the public tests; None without any."""


class ExecutionReward(ScriptedReward):
    """Scores steps by syntax, and finished programs by their public tests.

    Args:
      parses_so_far: see `ParsesSoFar`.
      passes_public: see `PassesPublic`; runs the program, so it belongs behind a sandbox.
    """

    def __init__(self, parses_so_far: ParsesSoFar, passes_public: PassesPublic) -> None:
        verdicts: dict[bool | None, Rating] = {True: 1, False: -1, None: 0}
        known: dict[tuple[str, str], bool | None] = {}

        def passes(problem: Problem, text: str) -> bool | None:
            key = (problem.id, text)
            if key not in known:
                known[key] = passes_public(problem, text)
            return known[key]

        def rate(trajectory: Trajectory) -> StepScore:
            problem, text = trajectory.problem, trajectory.text
            if trajectory.is_finished:
                return StepScore.from_rating(verdicts[passes(problem, text)])
            return StepScore.from_rating(1 if parses_so_far(problem, text) else -1)

        super().__init__(rate)
