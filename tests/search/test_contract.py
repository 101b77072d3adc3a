"""What holds for every strategy in every world."""

import sqlite3
from collections import Counter
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepnav.build import STRATEGIES, parse_strategy, strategy
from stepnav.core.budget import Budget
from stepnav.core.codec import decode_result, encode_result
from stepnav.core.outcome import Outcome
from stepnav.core.records import Problem, Step
from stepnav.core.requests import Complete, Propose, Sampling, Score
from stepnav.core.strategy import Strategy
from stepnav.policies.scripted import ScriptedPolicy
from stepnav.rewards.scripted import ScriptedReward
from stepnav.run.driver import Driver
from stepnav.run.journal import Journal
from stepnav.run.search import Search
from stepnav.search.expand import StepOptions, draw_steps
from stepnav.testing import check_strategy, comparable, extract, random_world
from tests.worlds import make_search, p, run_one

worlds = st.integers(0, 10_000)
names = st.sampled_from(list(STRATEGIES))
limits = st.none() | st.integers(0, 120)


class Listener:
    """Passes everything on to a backend and keeps what it answered, with what was asked."""

    def __init__(self, backend, heard):
        self._backend = backend
        self._asked = {}
        self._heard = heard

    def submit(self, ticket, request):
        self._asked[ticket] = request
        self._backend.submit(ticket, request)

    def poll(self, timeout_s):
        answers = self._backend.poll(timeout_s)
        self._heard += [(self._asked[ticket], answer.items) for ticket, answer in answers]
        return answers

    def __getattr__(self, name):
        return getattr(self._backend, name)


class Recorder:
    """Passes everything on to a backend and keeps what was asked."""

    def __init__(self, backend, asked):
        self._backend = backend
        self.asked = asked

    def submit(self, ticket, request):
        self.asked.append(request)
        self._backend.submit(ticket, request)

    def __getattr__(self, name):
        return getattr(self._backend, name)


@settings(deadline=None, max_examples=60)
@given(worlds, names, limits, limits, limits, st.integers(0, 60))
def test_no_budget_is_ever_exceeded(world, name, policy_tokens, reward_tokens, calls, reserve):
    if policy_tokens is None and calls is None and name in {"self_consistency"}:
        calls = 50
    budget = Budget(policy_tokens, reward_tokens, calls)
    options = (
        {"reserve_tokens": reserve} if "reserve_tokens" in strategy(name).known_options else {}
    )
    result = run_one(*random_world(world), make_search(name, options, budget=budget))
    usage = result.usage
    assert policy_tokens is None or usage.policy_tokens <= policy_tokens
    assert reward_tokens is None or usage.reward_tokens <= reward_tokens
    assert calls is None or usage.calls <= calls


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_whole_solution_that_a_budget_left_unrated_is_an_answer(name):
    def step(prefix, seed, temperature):
        return f"so {seed % 5} #### 4" if prefix.steps else f"step {seed % 7}\n"

    for calls in range(1, 20):
        policy, reward = ScriptedPolicy(step), ScriptedReward(lambda trajectory: p(0.9))
        result = run_one(policy, reward, make_search(name, budget=Budget(calls=calls)))
        is_drawn = any(node.is_finished for node in result.tree.nodes[1:])
        assert (result.answer is not None) == is_drawn, calls


@pytest.mark.parametrize(
    "name",
    ["best_of_n:samples=6", "beam:branching=6", "tot:branching=6", "astar:branching=6",
     "dvts:num_subtrees=1:branching=6", "rebase:width=6", "particle:num_particles=6",
     "pool:branching=6:beam_size=1:answer=best", "nav:width=6", "vgb:branching=6:answer=best"],
)  # fmt: skip
def test_the_best_of_those_that_a_budget_left_rated_is_the_answer(name):
    policy = ScriptedPolicy.from_table({"": [f"#### {n}" for n in range(20)]})
    rates = ScriptedReward(lambda trajectory: p(0.6 + int(trajectory.steps[-1].key[4:]) / 50))
    search = make_search("cot", budget=Budget(calls=10))
    search = replace(search, strategy=parse_strategy(name).for_budget(None))
    result = run_one(policy, rates, search)
    rated = [node for node in result.tree.nodes[1:] if node.score is not None]
    assert 2 <= len(rated) <= 5
    best = max(rated, key=lambda node: node.score.value)
    assert result.answer == best.step.key[5:]


@pytest.mark.parametrize("width", [1, 3])
def test_what_a_budget_cut_is_not_exhausted(width):
    def step(prefix, seed, temperature):
        return f"{seed} {'word ' * 50}\n" if temperature else "#### 5"

    search = make_search("nav", {"width": width}, budget=Budget(policy_tokens=20))
    result = run_one(ScriptedPolicy(step), ScriptedReward(lambda trajectory: p(0.1)), search)
    assert not result.tree.root.is_exhausted
    assert result.outcome.right_prob < 0.9


def _always(text):
    return ScriptedPolicy(lambda prefix, seed, temperature: text)


WORDS = [f"{word} {word}\n" for word in "cdefghij"]
MANY = ScriptedPolicy.from_table({"": WORDS, "b\n": WORDS})
FEW = ScriptedPolicy.from_table({"": WORDS[:2], "b\n": WORDS})


@pytest.mark.parametrize(
    ("policy", "budget", "is_exhausted"),
    [
        (MANY, Budget(policy_tokens=8), [False, False]),  # ends exactly between two samples
        (MANY, Budget(policy_tokens=9), [False, False]),  # within one
        (MANY, Budget(calls=5), [False, False]),
        (FEW, Budget(policy_tokens=8), [False, False]),
        (FEW, Budget(policy_tokens=10), [True, False]),
        (_always("a a a\n"), Budget(policy_tokens=10), [False, False]),  # among repeated draws
        (_always("a a a\n"), Budget(calls=5), [False, False]),
        (_always("a a a\n"), Budget(policy_tokens=900), [True, True]),
        (MANY, Budget(), [False, False]),
        (FEW, Budget(), [True, False]),
    ],
)
def test_only_what_the_policy_left_out_is_exhausted(policy, budget, is_exhausted):
    found = []

    def program(tree):
        wanted = [(tree.root, 4), (tree.add(tree.root, Step("b\n")), 4)]
        yield from draw_steps(wanted, StepOptions(first_greedy=False))
        found.extend(node.is_exhausted for node, _ in wanted)
        return Outcome(None, "finished")

    strategy = Strategy("s", function=program, models=("policy",))
    search = Search("s", strategy, Problem("p", "?"), extract, budget=budget)
    (result,) = Driver({"policy": policy}).run([search])
    assert found == is_exhausted, result.error


@pytest.mark.parametrize("name", [*STRATEGIES, "hgs:proposal=path", "nav:width=4"])
def test_a_search_that_the_budget_clipped_says_so(name):
    policy = ScriptedPolicy.from_table({"": [f"#### {n}" for n in range(8)]})
    for limit in range(3, 9):
        search = make_search("cot", budget=Budget(policy_tokens=limit))
        chosen = parse_strategy(name).for_budget(limit)
        result = run_one(policy, ScriptedReward(lambda t: p(0.3)), replace(search, strategy=chosen))
        reasons = {"finished"} if name == "cot" else {"budget"}
        assert result.outcome.stop_reason in reasons, limit


@settings(deadline=None, max_examples=40)
@given(worlds, names, limits)
def test_same_seed_same_tree_whatever_runs_beside(world, name, limit):
    budget = Budget(policy_tokens=limit)
    search = make_search(name, budget=budget, seed=world)
    alone = run_one(*random_world(world), search)
    others = [make_search(n, name=f"other {n}", problem="q") for n in STRATEGIES]
    policy, reward = random_world(world)
    crowd = Driver({"policy": policy, "reward": reward}).run([*others, search])
    together = next(result for result in crowd if result.search_id == "s")
    assert comparable(alone) == comparable(together)


@settings(deadline=None, max_examples=40)
@given(worlds, names, limits, st.floats(0, 1))
def test_replay_equals_run(world, name, limit, share):
    """Cut the journal anywhere: the search goes on there and asks nothing twice."""
    budget = Budget(policy_tokens=limit)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "journal.sqlite"
        journal = Journal(path)
        whole = run_one(*random_world(world), make_search(name, budget=budget), journal)
        answered = journal.num_answers()
        journal.close()
        kept = int(share * answered)
        with sqlite3.connect(path) as database:
            database.execute("DELETE FROM answers WHERE rowid > ?", (kept,))
            database.execute("DELETE FROM results")
        database.close()
        journal = Journal(path)
        asked = []
        resumed = run_one(
            *random_world(world),
            make_search(name, budget=budget),
            journal,
            wrap=lambda backend: Recorder(backend, asked),
        )
        journal.close()
    assert comparable(resumed) == comparable(whole)
    assert len(asked) == answered - kept


@settings(deadline=None, max_examples=40)
@given(worlds, names, limits)
def test_every_drawn_step_is_in_the_tree_as_often_as_it_was_drawn(world, name, limit):
    heard = []
    search = make_search(name, budget=Budget(policy_tokens=limit))
    result = run_one(*random_world(world), search, wrap=lambda backend: Listener(backend, heard))
    drawn = Counter()
    for request, items in heard:
        if isinstance(request, Propose):
            drawn.update(request.prefix.text + step.text for step in items)
        elif not isinstance(request, Score):
            drawn.update(item.text for item in items if item.steps)
    nodes = result.tree.nodes
    held = Counter()
    for node in nodes[1:]:
        held[node.trajectory.text] += 1 + node.duplicates
    assert all(held[text] >= number for text, number in drawn.items())
    if not any(isinstance(request, Complete) for request, _ in heard):
        assert held == drawn


@settings(deadline=None, max_examples=60)
@given(worlds, st.integers(1, 6), st.integers(1, 60))
def test_backtracking_never_revisits_a_dead_child(world, children, iterations):
    asked = []
    result = run_one(
        *random_world(world),
        make_search("hgs", {"branching": children, "max_draws": iterations, "fallback": "none"}),
        wrap=lambda backend: Recorder(backend, asked),
    )
    tree = result.tree
    dead = {node.trajectory.text for node in tree.nodes if node.status == "dead"}
    rejected_at = {}
    for number, request in enumerate(asked):
        if isinstance(request, Score):
            rejected_at.setdefault(request.trajectory.text, number)
    left = set()
    current = ""
    for request in asked:
        if isinstance(request, Score):
            continue
        if request.prefix.text != current and current.startswith(request.prefix.text):
            left.add(current)
        assert request.prefix.text not in left, "a node that was left was entered again"
        current = request.prefix.text
    for node in tree.nodes[1:]:
        if node.score is not None and node.score.rating < 0:
            assert node.trajectory.text in dead
            assert not node.children
    for node in tree.nodes:
        drawn = sum(1 + tree.nodes[child].duplicates for child in node.children)
        assert drawn <= children


@pytest.mark.parametrize("name", list(STRATEGIES))
def test_a_strategy_asks_for_scores_only_if_it_says_so(name):
    asked = []
    run_one(*random_world(1), make_search(name), wrap=lambda backend: Recorder(backend, asked))
    assert any(isinstance(request, Score) for request in asked) == (
        "reward" in strategy(name).models
    )


@pytest.mark.parametrize("name", list(STRATEGIES))
def test_results_survive_json(name):
    result = run_one(*random_world(2), make_search(name))
    assert encode_result(decode_result(encode_result(result))) == encode_result(result)
    assert result.outcome.trajectory.problem == result.tree.problem


@pytest.mark.parametrize("name", list(STRATEGIES))
def test_the_public_contract_holds(name):
    check_strategy(strategy(name), worlds=range(4))


@pytest.mark.parametrize(
    "text",
    [
        "beam:wide_start=true:answer=vote:lookahead=2",
        "beam:lookahead=1:replace=true:first_greedy=false",
        "dvts:num_subtrees=3:answer=vote:replace=true",
        "particle:entropic=true:answer=vote",
        "pool:choice=power:answer=best",
        "pool:replace=true:share=1",
        "vgb:redraw=true:answer=best",
    ],
)
def test_the_public_contract_holds_for_variants(text):
    check_strategy(parse_strategy(text), worlds=range(2))


def test_the_public_contract_is_not_empty():
    def spender(tree):
        tree.root.value = 1.0
        yield (Propose(tree.root.trajectory, 1, Sampling(1.0)),)
        return Outcome(None, "finished")

    calls = []

    def undecided(tree):
        calls.append(tree)
        for _ in calls:
            yield (Propose(tree.root.trajectory, 1, Sampling(1.0)),)
        return Outcome(None, "finished")

    with pytest.raises(AssertionError, match="the strategy spender failed"):
        check_strategy(Strategy("spender", function=lambda tree: spender(None)), worlds=[0])
    with pytest.raises(AssertionError, match=r"asks other things|two trees|failed"):
        check_strategy(Strategy("undecided", function=undecided), worlds=[0])
    with pytest.raises(AssertionError, match="and says it asks"):
        check_strategy(Strategy("quiet", function=strategy("hgs").function), worlds=[0])
