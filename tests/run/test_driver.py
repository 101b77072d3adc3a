"""The driver over backends that are slow, unordered, failing or gone."""

import itertools
import sqlite3
import time

import pytest

from stepnav.core.backend import Answer
from stepnav.core.budget import Budget, Usage
from stepnav.core.errors import BackendDown, BadResponse, ConfigError, JournalError
from stepnav.core.records import Problem, Step, Trajectory
from stepnav.core.requests import Complete, Propose, Score
from stepnav.run.accounting import KnownPrefixes, charge
from stepnav.run.driver import Driver
from stepnav.run.journal import Journal
from stepnav.run.search import Search
from tests.worlds import comparable, extract, make_search, random_world

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


def test_results_carry_what_was_searched():
    policy, reward = random_world(3)
    search = make_search("hgs", {"branching": 2}, seed=4)
    assert isinstance(search, Search)
    (result,) = Driver({"policy": policy, "reward": reward}).run([search])
    assert (result.strategy, result.seed, result.problem_id) == ("hgs", 4, "p")
    assert result.options["branching"] == 2
    assert result.answer == extract(result.outcome.trajectory.text)
