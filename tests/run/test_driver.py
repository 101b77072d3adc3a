"""The driver over backends that are slow, unordered, failing or gone."""

import contextlib
import gc
import itertools
import math
import sqlite3
import sys
import threading
import time
import weakref
from dataclasses import replace

import numpy as np
import pytest

from stepnav.core.backend import Answer
from stepnav.core.budget import Budget, Usage
from stepnav.core.errors import BackendDown, BadResponse, ConfigError, JournalError
from stepnav.core.outcome import Outcome
from stepnav.core.records import Problem, Step, Trajectory
from stepnav.core.requests import (
    BudgetSpent,
    Complete,
    Message,
    Propose,
    Sampling,
    Score,
    ask,
    propose,
    score_all,
)
from stepnav.core.strategy import Strategy
from stepnav.policies.scripted import ScriptedPolicy
from stepnav.rewards.scripted import ScriptedReward
from stepnav.run.accounting import KnownPrefixes, charge
from stepnav.run.driver import Driver
from stepnav.run.journal import Journal
from stepnav.run.running import RunningSearch
from stepnav.run.search import Search
from stepnav.testing import comparable, extract, random_world
from tests.worlds import make_search, p

NAMES = ["cot", "self_consistency", "best_of_n", "weighted_vote", "beam", "hgs"]


class Wrapped:
    """A backend that behaves like another one, except where a test says otherwise."""

    def __init__(self, backend):
        self._backend = backend
        self.cancelled = []

    def cancel(self, ticket):
        self.cancelled.append(ticket)
        self._backend.cancel(ticket)

    def __getattr__(self, name):
        return getattr(self._backend, name)


class Unordered(Wrapped):
    """Gives answers back one by one, the newest first, and sometimes none."""

    def __init__(self, backend):
        super().__init__(backend)
        self._ready = []
        self._polls = itertools.count()

    def poll(self, timeout_s):
        self._ready += self._backend.poll(timeout_s)
        return [self._ready.pop()] if self._ready and next(self._polls) % 3 else []


class Failing(Wrapped):
    """Fails the n-th answer."""

    def __init__(self, backend, number, error):
        super().__init__(backend)
        self._left = number
        self._error = error

    def poll(self, timeout_s):
        answers = []
        for ticket, answer in self._backend.poll(timeout_s):
            self._left -= 1
            answers.append((ticket, self._error if self._left == 0 else answer))
        return answers


class Silent(Wrapped):
    """Never answers."""

    def poll(self, timeout_s):
        time.sleep(timeout_s)
        return []


def searches(count=5):
    return [
        make_search(name, name=f"{name}/{i}", problem=f"p{i}")
        for name in NAMES
        for i in range(count)
    ]


def run(policy, reward, journal=None, **options):
    driver = Driver({"policy": policy, "reward": reward}, journal=journal, **options)
    return {result.search_id: comparable(result) for result in driver.run(searches())}


def test_order_of_answers_does_not_matter():
    policy, reward = random_world(3)
    expected = run(policy, reward)
    assert run(Unordered(policy), Unordered(reward)) == expected
    assert run(Unordered(policy), reward, max_active=3) == expected
    assert run(policy, reward, max_active=1) == expected


def test_a_failed_request_fails_its_own_search_only(tmp_path):
    policy, reward = random_world(3)
    journal = Journal(tmp_path / "j.sqlite")
    error = BadResponse("the server answered rubbish", failed_tokens=7)
    expected = run(policy, reward)
    results = run(Failing(policy, 10, error), reward, journal)
    failed = [r for r in results.values() if r["stop_reason"] == "failed"]
    assert [r["error"] for r in failed] == ["the server answered rubbish"]
    assert failed[0]["usage"]["failed_tokens"] == 7
    assert len(journal.finished_ids()) == len(results) - 1
    results.update(run(policy, reward, journal))  # a failed search is tried again
    assert results == expected


def test_a_backend_that_is_gone_ends_the_run_and_loses_nothing(tmp_path):
    policy, reward = random_world(3)
    expected = run(policy, reward)
    journal = Journal(tmp_path / "j.sqlite")
    broken = Failing(policy, 40, BackendDown("no route"))
    with pytest.raises(BackendDown, match="no route"):
        run(broken, reward, journal)
    assert journal.num_answers() >= 39
    before = journal.num_answers()
    driver = Driver({"policy": policy, "reward": reward}, journal=journal)
    list(driver.run(searches()))
    assert driver.num_asked == journal.num_answers() - before
    found = {r.search_id: comparable(r) for r in journal.results()}
    assert found == expected


def test_stopping_in_the_middle_cancels_what_is_open():
    policy, reward = random_world(3)
    backend = Wrapped(policy)
    running = Driver({"policy": Unordered(backend), "reward": reward}).run(searches())
    next(running)
    running.close()
    assert backend.cancelled


def test_a_driver_runs_again_after_a_run_that_was_left():
    policy, reward = random_world(3)
    expected = run(policy, reward)
    driver = Driver({"policy": Unordered(policy), "reward": Unordered(reward)})
    for _ in driver.run(searches()):
        break
    found = {result.search_id: comparable(result) for result in driver.run(searches())}
    assert found == expected


def test_a_late_answer_to_another_driver_is_not_taken():
    class Late(Wrapped):
        is_busy = True

        def cancel(self, ticket):
            """Answer all the same, as a backend may."""

        def poll(self, timeout_s):
            return [] if self.is_busy else self._backend.poll(timeout_s)

    policy = Late(ScriptedPolicy(lambda prefix, draw, temperature: f"#### {prefix.problem.id}"))
    left = Driver({"policy": policy})
    left.add(make_search("cot", problem="a"))
    left.step(0)
    left.close()
    policy.is_busy = False
    (result,) = Driver({"policy": policy}).run([make_search("cot", problem="b")])
    assert result.answer == "b"


class AtOnce(Wrapped):
    """Gives a batch's scores in one poll, the second of them as an error."""

    def __init__(self, backend, error):
        super().__init__(backend)
        self._error = error

    def poll(self, timeout_s):
        answers = self._backend.poll(timeout_s)
        if len(answers) > 2:
            answers[1] = (answers[1][0], self._error)
        return answers


@pytest.mark.parametrize("error", [BadResponse("rubbish"), BackendDown("no route")])
def test_what_was_answered_beside_an_error_is_kept_and_charged(tmp_path, error):
    policy, reward = random_world(3)
    journal = Journal(tmp_path / "j.sqlite")
    backend = AtOnce(reward, error)
    search = make_search("best_of_n", options={"samples": 4})
    driver = Driver({"policy": policy, "reward": backend}, journal=journal)
    if isinstance(error, BackendDown):
        with pytest.raises(BackendDown):
            list(driver.run([search]))
    else:
        (result,) = driver.run([search])
        assert result.outcome.stop_reason == "failed"
        assert result.usage.reward_calls == 3
    assert journal.num_answers() == 1 + 3  # one request for all samples, and three scores


def test_seconds_end_a_search_that_waits(tmp_path):
    policy, reward = random_world(3)
    budget = Budget(seconds=0.15)
    journal = Journal(tmp_path / "j.sqlite")
    silent = Silent(policy)
    (result,) = Driver({"policy": silent, "reward": reward}, journal=journal).run(
        [make_search("hgs", budget=budget)]
    )
    assert result.outcome.stop_reason == "budget"
    assert 0.15 <= result.usage.seconds < 1
    assert silent.cancelled


def forget_results(path):
    with sqlite3.connect(path) as database:
        database.execute("DELETE FROM results")
    database.close()


def test_a_refusal_by_the_clock_is_replayed(tmp_path):
    """On replay the models answer at once, but the search ends where the clock ended it."""
    policy, reward = random_world(3)
    path = tmp_path / "j.sqlite"
    search = make_search("hgs", budget=Budget(seconds=0.15))
    (whole,) = Driver({"policy": Silent(policy), "reward": reward}, journal=Journal(path)).run(
        [search]
    )
    forget_results(path)
    driver = Driver({"policy": policy, "reward": reward}, journal=Journal(path))
    (resumed,) = driver.run([search])
    assert driver.num_asked == 0
    assert comparable(resumed) == comparable(whole)


def test_changed_settings_do_not_fit_a_journal(tmp_path):
    policy, reward = random_world(3)
    path = tmp_path / "j.sqlite"
    list(
        Driver({"policy": policy, "reward": reward}, journal=Journal(path)).run(
            [make_search("beam")]
        )
    )
    forget_results(path)
    other = make_search("beam", {"branching": 7})
    with pytest.raises(JournalError, match="given to another request"):
        list(Driver({"policy": policy, "reward": reward}, journal=Journal(path)).run([other]))


def test_a_strategy_that_needs_scores_says_so():
    policy, _ = random_world(3)
    with pytest.raises(ConfigError, match="needs a reward model"):
        list(Driver({"policy": policy}).run([make_search("hgs")]))


def test_a_prefix_is_charged_once():
    problem = Problem("p", "q")
    known = KnownPrefixes()
    a, b = Step("a\n", num_tokens=4), Step("b\n", num_tokens=3)
    usage = Usage(policy_calls=2, policy_tokens=9)
    request = Propose(Trajectory(problem), n=2)
    first = charge(request, Answer((a, b), usage, (10,), 2), known)
    assert (first.policy_prompt_tokens, first.policy_cached_tokens) == (20, 10)
    assert first.flops == 2 * (10 + 9)
    child = Propose(Trajectory(problem, (a,)))
    second = charge(child, Answer((b,), Usage(policy_calls=1, policy_tokens=3), (10, 14), 2), known)
    assert (second.policy_prompt_tokens, second.policy_cached_tokens) == (14, 14)
    assert second.flops == 2 * 3


def test_a_new_step_is_scored_at_its_own_cost():
    problem, a, b = Problem("p", "q"), Step("a\n"), Step("b\n")
    known = KnownPrefixes()
    cost = Usage(reward_calls=1, reward_tokens=99)
    first = charge(Score(Trajectory(problem, (a,))), Answer((), cost, (10, 15), 2), known)
    second = charge(Score(Trajectory(problem, (a, b))), Answer((), cost, (10, 15, 22), 2), known)
    again = charge(Score(Trajectory(problem, (a, b))), Answer((), cost, (10, 15, 22), None), known)
    assert (first.reward_tokens, first.reward_cached_tokens, first.flops) == (15, 0, 30)
    assert (second.reward_tokens, second.reward_cached_tokens, second.flops) == (7, 15, 14)
    assert (again.reward_tokens, again.flops) == (0, None)


def test_limits_are_clipped_to_the_budget_before_they_are_asked():
    asked = []

    class Watch(Wrapped):
        def submit(self, ticket, request):
            asked.append(request)
            self._backend.submit(ticket, request)

    policy, reward = random_world(3)
    budget = Budget(policy_tokens=20)
    search = make_search("best_of_n", {"samples": 4}, budget=budget)
    list(Driver({"policy": Watch(policy), "reward": reward}).run([search]))
    assert all(isinstance(request, Complete) for request in asked)
    assert asked[0].sampling.max_tokens == 20
    assert all(request.sampling.max_tokens < 20 for request in asked[1:])


def test_seeds_come_from_run_problem_strategy_and_number():
    asked = []

    class Watch(Wrapped):
        def submit(self, ticket, request):
            asked.append(request.seed)
            self._backend.submit(ticket, request)

    policy, reward = random_world(3)
    for seed, problem in itertools.product((0, 1), ("p", "q")):
        search = make_search("hgs", problem=problem, seed=seed)
        list(Driver({"policy": Watch(policy), "reward": reward}).run([search]))
    assert len(set(asked)) == len(asked)


def test_a_strategy_may_ask_for_a_seed_of_its_own():
    given = []

    def walk(tree, *, seed: int, width: int = 1):
        given.append(seed)
        yield from propose(tree.root.trajectory, width, sampling=Sampling(1.0))
        return Outcome(None, "finished")

    strategy = Strategy("walk", function=walk)
    assert set(strategy.known_options) == {"width"}
    for seed, problem in itertools.product((0, 1, 0), ("p", "q")):
        search = Search("s", strategy, Problem(problem, "?"), extract, seed=seed)
        list(Driver({"policy": random_world(3)[0]}).run([search]))
    assert len(set(given)) == 4
    assert given[4:] == given[:2]


def test_results_carry_what_was_searched():
    policy, reward = random_world(3)
    search = make_search("hgs", {"branching": 2}, seed=4)
    assert isinstance(search, Search)
    (result,) = Driver({"policy": policy, "reward": reward}).run([search])
    assert (result.strategy, result.seed, result.problem_id) == ("hgs", 4, "p")
    assert result.options["branching"] == 2
    assert result.answer == extract(result.outcome.trajectory.text)


def test_samples_are_cut_by_the_budget_only_where_one_by_one_would_be():
    """Eight samples at once finish what the budget pays for, and only the last one is cut."""
    policy, reward = random_world(3)
    budget = Budget(policy_tokens=30)
    (wave,) = Driver({"policy": policy, "reward": reward}).run(
        [make_search("best_of_n", {"samples": 8}, budget=budget)]
    )
    (whole,) = Driver({"policy": policy, "reward": reward}).run(
        [make_search("best_of_n", {"samples": 8})]
    )
    assert wave.outcome.stop_reason == "budget"
    assert wave.outcome.counts["cut"] <= 1
    assert wave.usage.policy_tokens <= 30
    finished = [node.trajectory.text for node in wave.tree.nodes if node.is_finished]
    assert len(finished) >= 2
    assert (
        finished == [n.trajectory.text for n in whole.tree.nodes if n.is_finished][: len(finished)]
    )
    cut = [node for node in wave.tree.nodes[1:] if node.step.is_cut]
    assert all(node.step.finish == "budget" for node in cut)


def test_a_budget_that_surely_pays_changes_nothing():
    asked = []

    class Watch(Wrapped):
        def submit(self, ticket, request):
            asked.append(request)
            self._backend.submit(ticket, request)

    policy, reward = random_world(3)
    search = make_search("best_of_n", {"samples": 4}, budget=Budget(policy_tokens=10_000))
    (found,) = Driver({"policy": Watch(policy), "reward": reward}).run([search])
    (free,) = Driver({"policy": policy, "reward": reward}).run(
        [make_search("best_of_n", {"samples": 4})]
    )
    assert [request.n for request in asked] == [4]
    assert [n.trajectory.text for n in found.tree.nodes] == [
        n.trajectory.text for n in free.tree.nodes
    ]


def scored(reward, budget, texts, journal=None):
    """Return what a search of these solutions' scores is sent, a refusal as what it holds."""
    sent = []

    def program(tree):
        solutions = [tree.root.trajectory.extend(Step(text, "end")) for text in texts]
        try:
            sent.extend((yield from score_all(solutions)))
        except BudgetSpent as spent:
            sent.extend([*spent.scores, spent.resource])
        return Outcome(None, "finished")

    strategy = Strategy("s", function=program, models=("reward",))
    search = Search("s", strategy, Problem("p", "a b c"), extract, budget=budget)
    (result,) = Driver({"reward": reward}, journal=journal).run([search])
    assert result.error is None
    return sent, result


@pytest.mark.parametrize(
    ("budget", "num_paid", "resource"),
    [
        (Budget(reward_tokens=9), 3, None),  # 3 of the question, which is read once, and 3 x 2
        (Budget(reward_tokens=8), 2, "reward_tokens"),
        (Budget(reward_tokens=6), 1, "reward_tokens"),
        (Budget(reward_tokens=4), 0, "reward_tokens"),
        (Budget(calls=2), 2, "calls"),
    ],
)
def test_scores_are_asked_as_far_as_the_budget_pays(tmp_path, budget, num_paid, resource):
    texts, path = ["#### 1", "#### 2", "#### 3"], tmp_path / "j.sqlite"
    reward = ScriptedReward(lambda _: p(0.9))
    sent, result = scored(reward, budget, texts, Journal(path))
    assert sent == [(p(0.9),)] * num_paid + [resource] * (resource is not None)
    assert result.usage.reward_calls == num_paid
    assert result.outcome.stop_reason == ("budget" if 0 < num_paid < 3 else "finished")
    forget_results(path)
    again, replayed = scored(Silent(reward), budget, texts, Journal(path))
    assert again == sent and comparable(replayed) == comparable(result)


def test_scores_that_came_before_the_clock_count(tmp_path):
    class First(Wrapped):
        def submit(self, ticket, request):
            if "3" not in request.trajectory.text:
                self._backend.submit(ticket, request)

    texts, path = ["#### 1", "#### 2", "#### 3"], tmp_path / "j.sqlite"
    reward, budget = ScriptedReward(lambda _: p(0.9)), Budget(seconds=0.1)
    sent, result = scored(First(reward), budget, texts, Journal(path))
    assert sent == [(p(0.9),)] * 2 + ["seconds"] and result.usage.reward_tokens == 7
    forget_results(path)
    again, replayed = scored(reward, budget, texts, Journal(path))
    assert again == sent and comparable(replayed) == comparable(result)


def test_a_clock_that_ends_a_batch_leaves_its_finished_samples(tmp_path):
    """Under both budgets samples come one by one; those that came before the clock count."""

    class Slow(Wrapped):
        def poll(self, timeout_s):
            time.sleep(0.05)
            return self._backend.poll(timeout_s)

    policy, reward = random_world(3)
    path = tmp_path / "j.sqlite"
    budget = Budget(policy_tokens=400, seconds=0.4)
    search = make_search("self_consistency", {"samples": 60}, budget=budget)
    slow = {"policy": Slow(policy), "reward": reward}
    (found,) = Driver(slow, journal=Journal(path)).run([search])
    assert 0 < found.outcome.counts["samples"] < 60
    assert found.answer is not None
    forget_results(path)
    driver = Driver({"policy": policy, "reward": reward}, journal=Journal(path))
    (again,) = driver.run([search])
    assert driver.num_asked == 0
    assert comparable(again) == comparable(found)


def test_ask_is_charged_journaled_and_replayed(tmp_path):
    def judge(tree):
        replies = yield from ask(
            [Message("user", "Is 4 right?")], 2, sampling=Sampling(1.0, 1.0, 3)
        )
        return Outcome(None, "finished", " | ".join(reply.text for reply in replies))

    policy = ScriptedPolicy(
        lambda *_: "", reply=lambda messages, seed: f"{messages[0].content} {seed % 7}"
    )
    path = tmp_path / "j.sqlite"
    search = Search("s", Strategy("judge", function=judge), Problem("p", "?"), extract)
    (found,) = Driver({"policy": policy}, journal=Journal(path)).run([search])
    assert found.answer.startswith("Is 4 right? | Is 4 right?")
    assert (found.usage.policy_calls, found.usage.policy_tokens) == (2, 6)
    forget_results(path)
    driver = Driver({"policy": policy}, journal=Journal(path))
    (again,) = driver.run([search])
    assert driver.num_asked == 0 and comparable(again) == comparable(found)


def test_requests_go_to_the_model_that_they_name():
    def two(tree):
        root = tree.root.trajectory
        first, second = yield (Propose(root), Propose(root, model="other"))
        return Outcome(None, "finished", first[0].text + second[0].text)

    one = ScriptedPolicy(lambda *_: "a")
    other = ScriptedPolicy(lambda *_: "b")
    strategy = Strategy("two", function=two, models=("policy", "other"))
    search = Search("s", strategy, Problem("p", "?"), extract)
    (found,) = Driver({"policy": one, "other": other}).run([search])
    assert found.answer == "ab"
    with pytest.raises(ConfigError, match="asks the model 'other', and this run has only policy"):
        list(Driver({"policy": one}).run([search]))


def test_a_strategy_that_raises_ends_its_own_search_only():
    def bad(tree):
        yield from propose(tree.root.trajectory, sampling=Sampling(1.0))
        raise KeyError("lost")

    policy, reward = random_world(3)
    search = Search("bad", Strategy("bad", function=bad), Problem("p", "?"), extract)
    results = Driver({"policy": policy, "reward": reward}).run([search, *searches(2)])
    found = {result.search_id: result for result in results}
    assert len(found) == 1 + 2 * len(NAMES)
    assert found["bad"].error == "the strategy bad failed: KeyError: \"'lost'\""
    assert found["bad"].usage.policy_calls == 1
    assert sum(result.error is not None for result in found.values()) == 1


@pytest.mark.parametrize("error", [FileNotFoundError("words.txt"), TimeoutError("slow")])
def test_an_os_error_of_a_strategy_or_a_task_ends_its_own_search_only(error):
    def fails(*_):
        raise error

    def at_once(tree):
        yield from propose(tree.root.trajectory, sampling=Sampling(1.0))
        fails()

    policy, reward = random_world(3)
    own = [
        Search("start", Strategy("bad", function=fails), Problem("p", "?"), extract),
        Search("once", Strategy("bad", function=at_once), Problem("p", "?"), extract),
        replace(make_search("cot", name="extract"), extract=fails),
        replace(make_search("self_consistency", name="vote"), extract=fails),
    ]
    found = {r.search_id: r for r in Driver({"policy": policy, "reward": reward}).run(own)}
    assert all(str(error) in result.error for result in found.values()) and len(found) == 4


@pytest.mark.parametrize("name", ["cot", "hgs"])
def test_who_follows_a_tree_and_cannot_write_ends_the_run(name):
    def follow(node):
        raise OSError("the disk is full")

    policy, reward = random_world(3)
    search = replace(make_search(name), on_change=follow)
    with pytest.raises(OSError, match="the disk is full"):
        list(Driver({"policy": policy, "reward": reward}).run([search]))


def test_a_result_of_a_search_that_was_followed_keeps_no_model():
    policy, reward = random_world(3)
    search, model = replace(make_search("hgs"), on_change=repr), weakref.ref(policy)
    (result,) = Driver({"policy": policy, "reward": reward}).run([search])
    del policy
    gc.collect()
    assert model() is None and len(result.tree.nodes) > 1


def test_code_that_exits_ends_its_own_search_only():
    def at_start(tree):
        sys.exit(4)

    def at_once(tree):
        sys.exit(4)
        yield

    def at_its_close(tree):
        try:
            yield from propose(tree.root.trajectory, sampling=Sampling(1.0))
        finally:
            sys.exit(4)

    policy, reward = random_world(3)
    problem = Problem("p", "?")
    own = [
        Search("start", Strategy("bad", function=at_start), problem, extract),
        Search("once", Strategy("bad", function=at_once), problem, extract),
        replace(make_search("cot", name="extract"), extract=lambda text: sys.exit(3)),
    ]
    results = Driver({"policy": policy, "reward": reward}).run([*own, *searches(2)])
    found = {result.search_id: result for result in results}
    assert len(found) == 3 + 2 * len(NAMES)
    said = "or its task's extract tried to end the process: SystemExit:"
    assert found["start"].error == found["once"].error == f"the strategy bad {said} '4'"
    assert found["extract"].error == f"the strategy cot {said} '3'"
    running = RunningSearch(
        Search("c", Strategy("bad", function=at_its_close), problem, extract), {"policy": policy}
    )
    running.advance()
    running.close()


def unwritable(value):
    """Return an outcome, and a node's value, that no journal could hold."""
    return {
        "no stop reason": (Outcome(None, None), 0.5),
        "unknown stop reason": (Outcome(None, "done"), 0.5),
        "infinite count": (Outcome(None, "finished", counts={"best": math.inf}), 0.5),
        "vote that is no number": (Outcome(None, "finished", votes={"4": math.nan}), 0.5),
        "infinite value": (Outcome(None, "finished"), -math.inf),
    }[value]


@pytest.mark.parametrize(
    "case",
    ["no stop reason", "unknown stop reason", "infinite count", "vote that is no number",
     "infinite value"],
)  # fmt: skip
def test_what_no_journal_could_hold_ends_its_own_search_only(tmp_path, case):
    def careless(tree):
        yield from propose(tree.root.trajectory, sampling=Sampling(1.0))
        outcome, value = unwritable(case)
        tree.set_value(tree.root, value)
        return outcome

    policy, reward = random_world(3)
    search = Search("careless", Strategy("careless", function=careless), Problem("p", "?"), extract)
    journal = Journal(tmp_path / "j.sqlite")
    list(Driver({"policy": policy, "reward": reward}, journal=journal).run([search, *searches(1)]))
    found = {result.search_id: result for result in journal.results()}
    assert len(found) == 1 + len(NAMES)
    assert "the strategy careless failed: " in found["careless"].error


def test_a_value_of_numpy_is_a_value(tmp_path):
    def careful(tree):
        root = tree.root.trajectory
        (step,) = yield from propose(root, sampling=Sampling(1.0))
        tree.set_value(tree.add_trajectory(root.extend(step)), np.float32(0.5))
        return Outcome(None, "finished")

    policy, reward = random_world(3)
    search = Search("own", Strategy("own", function=careful), Problem("p", "?"), extract)
    journal = Journal(tmp_path / "j.sqlite")
    list(Driver({"policy": policy, "reward": reward}, journal=journal).run([search]))
    (found,) = journal.results()
    assert found.tree.nodes[1].value == 0.5


def test_searches_come_from_an_iterable_as_there_is_room():
    policy, reward = random_world(3)
    drawn = []

    def endless():
        for number in itertools.count():
            drawn.append(number)
            yield make_search("cot", name=f"s{number}", problem=f"p{number}")

    results = Driver({"policy": policy, "reward": reward}, max_active=4).run(endless())
    assert len(list(itertools.islice(results, 10))) == 10
    assert len(drawn) <= 10 + 8


def test_a_source_may_have_nothing_for_now():
    policy, reward = random_world(3)
    source = itertools.chain.from_iterable((None, search, None) for search in searches())
    driver = Driver({"policy": policy, "reward": reward}, max_active=3)
    found = {result.search_id: comparable(result) for result in driver.run(source)}
    assert found == run(policy, reward)


def test_a_search_goes_on_with_what_another_journal_holds(tmp_path):
    policy, reward = random_world(3)
    first, second = (Journal(tmp_path / f"{name}.sqlite") for name in "ab")
    with pytest.raises(BackendDown):
        run(Failing(policy, 40, BackendDown("no route")), reward, first)
    held, done = first.entries(), first.finished_ids()
    left = [
        replace(search, answered=held.get(search.id, ()))
        for search in searches()
        if search.id not in done
    ]
    driver = Driver({"policy": policy, "reward": reward}, journal=second)
    list(driver.run(left))
    assert driver.num_asked == second.num_answers()
    first.absorb(second)
    assert {r.search_id: comparable(r) for r in first.results()} == run(policy, reward)
    alone = Journal(tmp_path / "alone.sqlite")
    run(policy, reward, alone)
    assert first.num_answers() == alone.num_answers()


def test_searches_added_and_cancelled_from_many_threads():
    """As a server does it: none is lost or mixed, and a cancelled one asks nothing more."""
    policy, reward = random_world(3)
    models = {"policy": Unordered(policy), "reward": Unordered(reward)}
    driver = Driver(models, max_active=32)
    expected = {}
    names = [f"{thread}/{number}" for thread in range(4) for number in range(250)]
    wanted = {name: make_search(NAMES[len(name) % 6], name=name, problem=name) for name in names}
    cancelled = {name for name in names if int(name.split("/")[1]) % 5 == 0}

    def client(thread):
        for number in range(250):
            name = f"{thread}/{number}"
            driver.add(wanted[name])
            if name in cancelled:
                driver.cancel(name)

    threads = [threading.Thread(target=client, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    found = {}
    while any(thread.is_alive() for thread in threads) or driver.num_open:
        for result in driver.step(0.01):
            assert result.search_id not in found, "a result came twice"
            found[result.search_id] = result
    assert set(found) >= set(names) - cancelled
    for name in sorted(set(found) - cancelled)[::25]:
        (alone,) = Driver({"policy": policy, "reward": reward}).run([wanted[name]])
        expected[name] = comparable(alone)
        assert comparable(found[name]) == expected[name]
    assert driver.step(0.0) == [] and not driver._tickets and not driver._running
    driver.close()
    with pytest.raises(ValueError, match="closed"):
        driver.add(wanted[names[0]])


def test_a_search_cancelled_while_it_runs_asks_nothing_more():
    asked = []

    class Watch(Wrapped):
        def submit(self, ticket, request):
            asked.append(request)
            self._backend.submit(ticket, request)

    policy, reward = random_world(3)
    scorer = Watch(reward)
    driver = Driver({"policy": Watch(policy), "reward": scorer})
    search = make_search("hgs", {"branching": 8})
    driver.add(search)
    driver.step()  # a step was proposed, and its score is asked
    driver.cancel(search.id)
    before = len(asked)
    assert driver.step(0.0) == []
    assert len(asked) == before and driver.num_open == 0 and scorer.cancelled
    assert driver.add(search)  # its name is free again


def test_what_a_cancelled_search_was_answered_is_charged_and_told():
    class Partly(Wrapped):
        def poll(self, timeout_s):
            return self._backend.poll(timeout_s)[:2]

    left = {}
    policy, reward = random_world(3)
    driver = Driver(
        {"policy": policy, "reward": Partly(reward)}, max_active=1, on_left=left.__setitem__
    )
    driver.add(make_search("best_of_n", {"samples": 4}))
    driver.add(make_search("cot", name="waiting"))
    driver.step()  # the samples are answered
    driver.step()  # so are two of their scores
    for name in ("s", "waiting", "nobody"):
        driver.cancel(name)
    assert driver.step(0.0) == [] and list(left) == ["s"]
    (whole,) = Driver({"policy": policy, "reward": reward}).run(
        [make_search("best_of_n", {"samples": 4})]
    )
    assert left["s"].policy_tokens == whole.usage.policy_tokens > 0
    assert left["s"].reward_calls == 2 and left["s"].seconds > 0


def test_a_backend_that_is_down_fails_alone_where_a_server_wants_it():
    policy, reward = random_world(3)
    broken = Failing(policy, 3, BackendDown("no route"))
    driver = Driver({"policy": broken, "reward": reward}, fails_alone=True)
    results = {result.search_id: result for result in driver.run(searches(1))}
    assert len(results) == len(NAMES)
    assert [r.error for r in results.values() if r.error] == ["no route"]


def test_a_clock_that_cuts_a_batch_is_replayed_whatever_follows(tmp_path):
    """Parts that were never asked are not taken for the next batch's when the run goes on."""

    class Slow(Wrapped):
        def poll(self, timeout_s):
            time.sleep(0.12)
            return self._backend.poll(timeout_s)

    def two(tree):
        sampling = Sampling(1.0, 1.0, 10)
        yield (Propose(tree.root.trajectory, 4, sampling),)
        try:
            yield (Propose(tree.root.trajectory, 1, sampling),)
        except BudgetSpent:
            raise RuntimeError("the end") from None

    policy, _ = random_world(3)
    path = tmp_path / "j.sqlite"
    strategy = Strategy("two", function=two)
    budget = Budget(policy_tokens=25, seconds=0.3)
    search = Search("s", strategy, Problem("p", "?"), extract, budget=budget)
    (found,) = Driver({"policy": Slow(policy)}, journal=Journal(path)).run([search])
    assert found.error.endswith("RuntimeError: 'the end'")
    driver = Driver({"policy": policy}, journal=Journal(path))
    (again,) = driver.run([search])
    assert driver.num_asked == 0 and comparable(again) == comparable(found)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (lambda tree: Score(tree.root), "holds something else"),
        (lambda tree: Propose(tree.root), "holds something else"),
        (lambda tree: Propose(tree.root.trajectory, "3"), "holds something else"),
        (lambda tree: Propose(tree.root.trajectory, 1, None), "holds something else"),
        (lambda tree: Propose(tree.root.trajectory, model="reward"), "cannot answer Propose"),
        (lambda tree: 7, "must yield requests"),
    ],
)
@pytest.mark.parametrize("budget", [Budget(), Budget(policy_tokens=50, reward_tokens=50)])
def test_a_request_that_no_model_takes_ends_its_own_search(request_, message, budget):
    def odd(tree):
        yield (request_(tree),)

    policy, reward = random_world(3)
    search = Search("odd", Strategy("odd", function=odd), Problem("p", "?"), extract, budget=budget)
    results = Driver({"policy": policy, "reward": reward}).run([search, *searches(1)])
    found = {result.search_id: result for result in results}
    assert len(found) == 1 + len(NAMES)
    assert message in found["odd"].error or "AssertionError" in found["odd"].error


def test_a_program_must_ask_for_something():
    def idle(tree):
        yield []

    policy, _ = random_world(3)
    search = Search("idle", Strategy("idle", function=idle), Problem("p", "?"), extract)
    (result,) = Driver({"policy": policy}).run([search])
    assert "at least one request (got [])" in result.error


def test_a_program_that_asks_for_ever_is_ended():
    def stubborn(tree):
        while True:
            with contextlib.suppress(BudgetSpent):
                yield (Propose(tree.root.trajectory),)

    policy, _ = random_world(3)
    budget = Budget(policy_tokens=5)
    search = Search(
        "s", Strategy("stubborn", function=stubborn), Problem("p", "?"), extract, budget=budget
    )
    (result,) = Driver({"policy": policy}).run([search])
    assert "asks on although" in result.error


def test_what_a_journal_cannot_keep_ends_its_own_search(tmp_path):
    def odd(tree):
        yield from propose(tree.root.trajectory, sampling=Sampling(1.0))
        return Outcome(None, "finished", counts={"seen": {1, 2}})

    def number(text):
        return 42

    policy, _ = random_world(3)
    journal = Journal(tmp_path / "j.sqlite")
    strange = Search("odd", Strategy("odd", function=odd), Problem("p", "?"), extract)
    wrong = Search("wrong", make_search("cot").strategy, Problem("p", "?"), number)
    results = Driver({"policy": policy}, journal=journal).run([strange, wrong])
    found = {result.search_id: result.error for result in results}
    assert "counts and votes must be numbers" in found["odd"]
    assert "an answer must be text" in found["wrong"]
    assert len(list(journal.results())) == 2


def test_a_cancelled_search_is_not_taken_again_where_its_answers_are_journaled(tmp_path):
    policy, reward = random_world(3)
    driver = Driver({"policy": policy, "reward": reward}, journal=Journal(tmp_path / "j.sqlite"))
    driver.add(make_search("hgs"))
    driver.step()
    driver.cancel("s")
    driver.step(0.0)
    with pytest.raises(ValueError, match="was cancelled"):
        driver.add(make_search("hgs"))
    finished = make_search("cot", name="t")
    assert list(driver.run([finished])) and list(driver.run([finished])) == []


@pytest.mark.parametrize("budget", [Budget(), Budget(policy_tokens=1000)])
def test_a_search_that_is_hurried_ends_with_its_best_so_far(budget):
    policy, reward = random_world(3)
    silent = Silent(reward)
    driver = Driver({"policy": policy, "reward": silent}, max_active=1)
    running = make_search("hgs", name="running", budget=budget)
    waiting = make_search("cot", name="waiting", budget=budget)
    driver.add(running)
    driver.add(waiting)
    assert driver.step() == []
    driver.hurry("running")
    (result,) = driver.step()
    assert (result.search_id, result.outcome.stop_reason) == ("running", "budget")
    assert silent.cancelled
    driver.hurry()
    while not (results := driver.step()):
        pass
    assert (results[0].search_id, results[0].outcome.stop_reason) == ("waiting", "budget")
    driver.hurry("nobody")
    assert driver.step(0.0) == []


@pytest.mark.parametrize("search_id", ["waiting", None])
def test_a_search_that_is_hurried_while_it_waits_ends_before_there_is_room(search_id):
    policy, reward = random_world(3)
    driver = Driver({"policy": Silent(policy), "reward": reward}, max_active=1)
    driver.add(make_search("hgs", name="running"))
    driver.add(make_search("cot", name="waiting"))
    driver.add(make_search("cot", name="behind"))
    assert driver.step(0.0) == []
    driver.hurry(search_id)
    results = {result.search_id: result for result in driver.step(0.0)}
    assert set(results) == ({"waiting"} if search_id else {"running", "waiting", "behind"})
    assert results["waiting"].outcome.stop_reason == "budget"
    assert results["waiting"].usage.policy_calls == 0


def test_a_model_that_is_missing_fails_alone_where_a_server_wants_it():
    policy, _ = random_world(3)
    driver = Driver({"policy": policy}, fails_alone=True)
    results = {
        r.strategy: r for r in driver.run([make_search("hgs"), make_search("cot", name="c")])
    }
    assert "needs a reward model" in results["hgs"].error
    assert results["cot"].error is None
