"""Contract checks for plug-ins: run them over your own strategy, policy or reward model.

    from stepnav import testing

    def test_my_search():
        testing.check_strategy(stepnav.Strategy("mine", function=mine, models=("policy", "reward")))

The same checks run over everything that ships. Each raises AssertionError with what did not hold.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from stepnav.core.backend import Answer, Backend
from stepnav.core.budget import Budget
from stepnav.core.codec import decode_result, encode_result
from stepnav.core.errors import BackendError
from stepnav.core.outcome import SearchResult
from stepnav.core.records import Problem, Step, StepScore, Trajectory
from stepnav.core.requests import Complete, Propose, Request, Sampling, Score
from stepnav.core.seeds import derive_seed
from stepnav.core.strategy import Strategy
from stepnav.policies.scripted import ScriptedPolicy
from stepnav.rewards.scripted import ScriptedReward
from stepnav.run.driver import Driver
from stepnav.run.journal import Journal
from stepnav.run.search import Search

BUDGETS = (Budget(), Budget(policy_tokens=23), Budget(policy_tokens=60, calls=20), Budget(calls=7))
WAIT_S = 60.0
"""Longest wait for a backend's answers."""

_tickets = itertools.count()


def random_world(
    seed: int, *, branching: int = 4, depth: int = 4
) -> tuple[ScriptedPolicy, ScriptedReward]:
    """Return a policy and a reward model that behave like a random tree.

    Each prefix has up to `branching` next steps; solutions end at `depth` steps at the latest.
    """

    def next_step(prefix: Trajectory, draw: int, temperature: float) -> str:
        place = derive_seed(seed, prefix.text)
        choice = 0 if temperature == 0 else derive_seed(draw) % (1 + place % branching)
        ends = len(prefix.steps) + 1 >= depth or derive_seed(place, choice) % 5 == 0
        words = " ".join(["w"] * (derive_seed(place, choice, "words") % 4))
        return f"#### {choice}" if ends else f"{choice} {words}\n"

    def rate(trajectory: Trajectory) -> StepScore:
        weights = [1 + derive_seed(seed, trajectory.text, name) % 97 for name in "abc"]
        total = sum(weights)
        return StepScore(*(weight / total for weight in weights))

    return ScriptedPolicy(next_step), ScriptedReward(rate)


def extract(text: str) -> str | None:
    """Return what follows the last `####`."""
    _, mark, answer = text.rpartition("####")
    return answer.strip() or None if mark else None


def comparable(result: SearchResult) -> dict[str, Any]:
    """Return a result as JSON values without its clock time."""
    value = encode_result(result)
    value["usage"]["seconds"] = 0.0
    return value


def check_strategy(strategy: Strategy, *, worlds: Iterable[int] = range(12)) -> None:
    """Check that a strategy ends, keeps to every budget, repeats itself and can be replayed.

    Args:
      strategy: with the options to try.
      worlds: seeds of random worlds (`random_world`).
    """
    for world in worlds:
        for budget in BUDGETS:
            search = Search(
                "s", strategy.for_budget(budget.policy_tokens), Problem("p", "What now?"), extract,
                budget=budget, seed=world,
            )  # fmt: skip
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "journal.sqlite"
                asked, whole = _run(world, search, path)
                again, repeated = _run(world, search, None)
                with sqlite3.connect(path) as database:
                    database.execute("DELETE FROM results")
                database.close()
                new, replayed = _run(world, search, path)
            where = f"{strategy.label} in world {world} at {budget}"
            assert whole.error is None, f"{where}: {whole.error}"
            _check_budget(whole, budget, where)
            others = {request.model for request in asked} - set(strategy.models)
            assert not others, f"{where} asks {others}, and says it asks {strategy.models}"
            assert comparable(repeated) == comparable(whole), f"{where} gives two trees"
            assert again == asked, f"{where} asks other things the second time"
            assert not new, f"{where} asks {len(new)} things again that the journal holds"
            assert comparable(replayed) == comparable(whole), f"{where} is replayed as another tree"
            text = json.dumps(encode_result(whole))
            known = encode_result(decode_result(json.loads(text)))
            assert json.dumps(known) == text, f"{where}: the result does not survive JSON"


def check_policy(make: Callable[[], Backend], problems: Sequence[Problem]) -> None:
    """Check that a policy keeps to the contract of `core/backend.py`.

    Args:
      make: opens it anew.
      problems: some that it can be asked.
    """
    backend = make()
    try:
        for number, problem in enumerate(problems):
            root = Trajectory(problem)
            for request in (
                Propose(root, 3, Sampling(1.0), seed=number),
                Complete(root, 2, Sampling(1.0), seed=number),
            ):
                answer = _ask(backend, request)
                assert len(answer.items) == request.n, f"{request.n} samples were asked: {answer}"
                spent, bound = answer.usage.policy_tokens, backend.token_bound(request)
                assert spent <= bound, f"{spent} tokens were charged, at most {bound} announced"
            step = _ask(backend, Propose(root, 1, Sampling(0.0), seed=0)).items[0]
            if step.finish == "step":
                prefix = root.extend(step)
                (solution,) = _ask(backend, Complete(prefix, 1, Sampling(0.0), seed=0)).items
                assert solution.steps[:1] == prefix.steps, "a completion keeps its prefix"
            _check_without(backend, root)
        ticket = next(_tickets)
        backend.submit(ticket, Propose(Trajectory(problems[0]), seed=0))
        backend.cancel(ticket)
        backend.cancel(next(_tickets))
    finally:
        backend.close()
        backend.close()


def _check_without(backend: Backend, root: Trajectory) -> None:
    """Check that no step is drawn twice where the policy is asked for that."""
    drawn: tuple[Step, ...] = ()
    for number in range(3):
        request = Propose(root, 2, Sampling(1.0, without=drawn), seed=number)
        answer = _ask(backend, request)
        spent, bound = answer.usage.policy_tokens, backend.token_bound(request)
        assert len(answer.items) <= request.n, f"{request.n} samples were asked: {answer}"
        assert spent <= bound, f"{spent} tokens were charged, at most {bound} announced"
        drawn += answer.items
    # the same text may be drawn by other tokens, which only a policy that tells them can know
    ways = [(step.key, step.is_cut, step.draw and step.draw.tokens) for step in drawn]
    assert len(set(ways)) == len(ways), f"a step was drawn twice: {ways}"


def check_reward(make: Callable[[], Backend], trajectories: Sequence[Trajectory]) -> None:
    """Check that a reward model keeps to the contract of `core/backend.py`.

    Args:
      make: opens it anew.
      trajectories: some that it can score.
    """
    backend = make()
    try:
        for trajectory in trajectories:
            answer = _ask(backend, Score(trajectory))
            count = len(trajectory.steps)
            assert len(answer.items) == count, f"{count} steps got {len(answer.items)} scores"
            assert all(isinstance(score, StepScore) for score in answer.items)
            bound = backend.token_bound(Score(trajectory))
            assert answer.usage.reward_tokens <= bound, "it processed more than it announced"
            assert _ask(backend, Score(trajectory)).items == answer.items, "a score changed"
    finally:
        backend.close()
        backend.close()


class _Watch:
    """Passes everything on to a backend and keeps what was asked."""

    def __init__(self, backend: Backend, asked: list[Request]) -> None:
        self._backend = backend
        self._asked = asked

    def submit(self, ticket: int, request: Request) -> None:
        self._asked.append(request)
        self._backend.submit(ticket, request)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)


def _run(world: int, search: Search, path: Path | None) -> tuple[list[Request], SearchResult]:
    asked: list[Request] = []
    journal = None if path is None else Journal(path)
    policy, reward = random_world(world)
    models: dict[str, Any] = {"policy": _Watch(policy, asked), "reward": _Watch(reward, asked)}
    (result,) = Driver(models, journal=journal).run([search])
    if journal is not None:
        journal.close()
    return asked, result


def _check_budget(result: SearchResult, budget: Budget, where: str) -> None:
    usage = result.usage
    for spent, limit in (
        (usage.policy_tokens, budget.policy_tokens),
        (usage.reward_tokens, budget.reward_tokens),
        (usage.calls, budget.calls),
    ):
        assert limit is None or spent <= limit, f"{where} spends {spent}"


def _ask(backend: Backend, request: Request) -> Answer:
    wanted = next(_tickets)
    backend.submit(wanted, request)
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        for ticket, answer in backend.poll(1.0):
            if ticket == wanted:
                if isinstance(answer, BackendError):
                    raise answer
                return answer
    raise AssertionError(f"no answer within {WAIT_S:.0f} s to {request!r:.200}")
