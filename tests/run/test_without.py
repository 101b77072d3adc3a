"""Steps drawn without replacement through the driver: in parts, under budgets, after a kill."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import Any

import pytest

from stepnav.core.budget import Budget
from stepnav.core.codec import decode_step, encode_step
from stepnav.core.outcome import Outcome
from stepnav.core.records import Draw, Problem, Step
from stepnav.core.requests import Propose, Sampling
from stepnav.core.strategy import Strategy
from stepnav.core.tree import Tree
from stepnav.policies.scripted import ScriptedPolicy
from stepnav.run.driver import Driver
from stepnav.run.journal import Journal
from stepnav.run.parts import Part, marked
from stepnav.run.search import Search
from stepnav.search.expand import StepOptions, add_steps, draw_children, draw_steps
from stepnav.testing import comparable, extract

TABLE = {"": [f"{word} {word}\n" for word in "abcdefgh"], "a a\n": ["x\n", "y\n"]}
ALL = Sampling(1.0, without=())


class Slow:
    """Passes everything on, answers one request a poll, and keeps what was asked."""

    def __init__(self, backend: Any) -> None:
        self._backend, self._ready, self.asked = backend, list[Any](), list[Propose]()

    def submit(self, ticket: int, request: Propose) -> None:
        self.asked.append(request)
        self._backend.submit(ticket, request)

    def poll(self, timeout_s: float) -> list[Any]:
        self._ready += self._backend.poll(timeout_s)
        return [self._ready.pop()] if self._ready else []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)


def twice(tree: Tree, *, n: int = 5) -> Any:
    """Draw `n` steps after the root and after "a a", side by side."""
    prefixes = [tree.root.trajectory, tree.root.trajectory.extend(Step("a a\n"))]
    for drawn in (yield [Propose(prefix, n, ALL) for prefix in prefixes]):
        add_steps(tree, tree.root, drawn, {"duplicates": 0})
    return Outcome(None, "finished")


def run(
    budget: Budget, journal: Journal | None = None, **options: int
) -> tuple[Any, list[Propose]]:
    policy = Slow(
        ScriptedPolicy.from_table(
            TABLE,
        )
    )
    strategy = Strategy("twice", options, function=twice)
    search = Search("s", strategy, Problem("p", "?"), extract, budget=budget, seed=3)
    (result,) = Driver({"policy": policy}, journal=journal).run([search])
    assert result.error is None, result.error
    return result, policy.asked


def texts(result: Any) -> list[str]:
    return [node.step.text for node in result.tree.nodes[1:]]


def test_samples_in_parts_exclude_each_other_and_are_those_of_the_whole() -> None:
    whole, asked = run(Budget())
    assert len(asked) == 2
    parts, asked = run(Budget(policy_tokens=2500))
    assert len(asked) == 5 + 3  # after "a a" the third finds nothing left
    assert texts(parts) == texts(whole)
    assert len(set(texts(whole))) == 7
    assert [len(request.sampling.without or ()) for request in asked[:4]] == [0, 0, 1, 1]


@pytest.mark.parametrize("num_kept", range(8))
def test_a_killed_search_goes_on_in_the_middle(num_kept: int, tmp_path: Any) -> None:
    path = tmp_path / "journal.sqlite"
    journal = Journal(path)
    whole, asked = run(Budget(policy_tokens=2500), journal)
    journal.close()
    with sqlite3.connect(path) as database:
        database.execute("DELETE FROM results")
        database.execute("DELETE FROM answers WHERE number >= ?", (num_kept,))
    database.close()
    journal = Journal(path)
    again, new = run(Budget(policy_tokens=2500), journal)
    journal.close()
    assert comparable(again) == comparable(whole)
    assert new == asked[num_kept:]


def test_a_budget_cuts_the_last_sample_and_is_kept() -> None:
    result, _ = run(Budget(policy_tokens=7))
    assert result.usage.policy_tokens == 7
    assert [node.step.finish for node in result.tree.nodes[1:]].count("budget") == 1
    result, _ = run(Budget(calls=3))
    assert result.usage.calls == 3


@pytest.mark.parametrize(("num_tokens", "cap", "finish"), [(4, 4, "budget"), (2, 4, "budget"),
                                                          (2, 9, "length")])  # fmt: skip
def test_known_tokens_count_to_the_limit_that_a_budget_leaves(
    num_tokens: int, cap: int, finish: str
) -> None:
    """A server that draws what is left goes on from them at no cost."""
    step = Step("abcd", "length", num_tokens, draw=Draw((1, 2, 3, 4), (-1.0,) * 4, (-1.0,) * 4))
    part = Part(0, Propose(Tree(Problem("p", "?")).root.trajectory), cap)
    assert marked(step, part).finish == finish


def test_draws_survive_the_journal_to_the_bit() -> None:
    draw = Draw((4, 7, 1), (-0.1234567, -0.0, -12.3), (-1.5, -float("inf"), -0.0000001))
    for ids in ((4, 7), (4, 7, 1), None):
        step = Step("x\n", "end", 3, ids, -1.25, draw)
        assert decode_step(encode_step(step)) == step


def test_draw_steps_serves_a_node_that_stands_there_twice_and_says_when_nothing_is_left() -> None:
    found: list[Any] = []

    def search(tree: Tree, *, first_greedy: bool = True) -> Any:
        root = tree.root
        options = StepOptions(first_greedy=first_greedy)
        drawn = yield from draw_steps([(root, 2), (root, 3)], options)
        assert not root.is_exhausted
        counts = {"duplicates": 0}
        (children,) = yield from draw_children(tree, [(root, 9)], options, counts)
        assert root.is_exhausted
        found.extend([drawn, children])
        return Outcome(None, "finished")

    for greedy in (True, False):
        strategy = Strategy("s", {"first_greedy": greedy}, function=search)
        task = Search("s", strategy, Problem("p", "?"), extract, seed=1)
        (result,) = Driver({"policy": ScriptedPolicy.from_table(TABLE)}).run([task])
        assert result.error is None, result.error
        (first, second), children = found[-2:]
        assert (len(first), len(second), len(children)) == (2, 3, 3)
        known = [step.text for step in (*first, *second)]
        assert sorted([*known, *(node.step.text for node in children)]) == TABLE[""]
        assert (first[0].text == TABLE[""][0]) == greedy


def test_a_text_drawn_by_other_tokens_adds_its_probability() -> None:
    tree = Tree(Problem("p", "?"))
    step = Step("a\n", "step", 2, (1, 2), -1.0, Draw((1, 2), (-1.0, 0.0), (-0.5, -3.0)))
    twin = replace(step, token_ids=(3,), logprob=-2.0, draw=Draw((3,), (-2.0,), (-0.7,)))
    tree.root.drawn += [step, twin, step]
    (child,) = add_steps(tree, tree.root, [step, twin], {"duplicates": 0})
    assert tree.logprob(child) == pytest.approx(-0.6867383)  # log(exp(-1) + exp(-2))
