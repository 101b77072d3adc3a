"""The judge: what it asks, how it reads, what it charges, and one model with two owners."""

import math
import tracemalloc

import pytest

from stepnav.build import strategy
from stepnav.build.models import check_models, open_models
from stepnav.build.rewards import as_judge, open_reward
from stepnav.build.tasks import load_task
from stepnav.core.backend import Answer
from stepnav.core.budget import Budget, Usage
from stepnav.core.errors import BackendError, ConfigError
from stepnav.core.judging import (
    HOPES,
    RATINGS,
    rating_messages,
    read_vote,
    read_word,
    score_by_logprob,
    value_messages,
    vote_messages,
)
from stepnav.core.records import Problem, Reply, Step, StepScore, Trajectory
from stepnav.core.requests import Ask, Propose, Score
from stepnav.policies.scripted import ScriptedPolicy
from stepnav.policies.shared import SharedBackend
from stepnav.rewards.judge import MAX_OPINIONS, JudgeReward
from stepnav.run.driver import Driver
from stepnav.run.search import Search
from stepnav.testing import check_reward, extract
from tests.worlds import make_search

PROBLEM = Problem("p", "What is 2 + 2?")
STEPS = {"": ["2 + 2 = 5\n", "2 + 2 = 4\n"], "2 + 2 = 5\n": ["#### 5"], "2 + 2 = 4\n": ["#### 4"]}


def path(*texts):
    return Trajectory(PROBLEM, tuple(Step(text) for text in texts))


def opinion(messages, seed):
    """Say that what holds a 5 is wrong."""
    return "wrong" if "5" in messages[-1].content.split("\n")[-2] else "right"


def judge(reply=opinion, **options):
    return JudgeReward(ScriptedPolicy.from_table(STEPS, reply=reply), **options)


def scored(backend, trajectory, ticket=0):
    backend.submit(ticket, Score(trajectory))
    for _ in range(20):
        for found, answer in backend.poll(0.1):
            if found == ticket:
                return answer
    raise AssertionError("no answer")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("right", "right"),
        (" Right.", "right"),
        ("The step is wrong", "wrong"),
        ("not right", None),
        ("not quite right", None),
        ("This isn't right.", None),
        ("It can\u2019t be right", None),
        ("Cannot be right", None),
        ("right? no.", None),
        ("Right, no errors", "right"),
        ("That is not the right step.", None),
        ("It can't be right", None),
        ("There is nothing wrong", None),
        ("Right. It is not right.", None),
        ("By 1.5, not by 2.5 it is right", None),
        ("Wrong. 5 + 3 is not 9.", "wrong"),
        ("wrong, it does not follow", "wrong"),
        ("Wrong because 5 + 3 is not 9", "wrong"),
        ("No, the last step is wrong", "wrong"),
        ("No. Wrong.", "wrong"),
        ("Right: the step does not contain errors.", "right"),
        ("right or wrong", None),
        ("right, right", "right"),
        ("brighter", None),
        ("", None),
        ("unc", "unclear"),  # a token may hold the beginning of a word
        ("Wr", "wrong"),
        ("rubbish", None),
    ],
)
def test_words_of_replies(text, word):
    assert read_word(text, RATINGS) == word


def test_a_hope_that_says_why():
    assert read_word("Impossible: 7 is not even", HOPES) == "impossible"


@pytest.mark.parametrize(
    ("text", "place"), [("2", 1), ("Solution 3.", 2), ("4", None), ("0", None), ("1 or 2", None)]
)
def test_numbers_of_replies(text, place):
    assert read_vote(text, 3) == place


def test_probabilities_of_words():
    def replies(**probs):
        return [Reply(word, "length", 1, math.log(prob)) for word, prob in probs.items()]

    def read(**probs):
        score = score_by_logprob(replies(**probs))
        return score.negative_prob, score.neutral_prob, score.positive_prob

    assert read(right=0.7) == pytest.approx((0.15, 0.15, 0.7))
    assert read(right=0.6, wrong=0.3) == pytest.approx((0.3, 0.1, 0.6))
    assert read(right=0.6, wrong=0.3, unclear=0.05) == pytest.approx((6 / 19, 1 / 19, 12 / 19))
    assert score_by_logprob([Reply("right")]) is None
    assert score_by_logprob(replies(rubbish=0.9)) is None


def test_the_questions_show_the_problem_and_the_steps_and_nothing_of_the_answer():
    problem = Problem("p", "What is 6 x 7?", answer="42")
    trajectory = Trajectory(problem, (Step("    6 x 7\n"), Step("= 41\n")))
    for messages in (
        rating_messages(trajectory),
        value_messages(trajectory),
        vote_messages(problem, [trajectory, trajectory]),
    ):
        assert messages[0].role == "system" and messages[-1].role == "user"
        shown = messages[-1].content
        assert "What is 6 x 7?" in shown and "    6 x 7\n= 41\n" in shown and "42" not in shown
    assert "Solution 2:" in shown


def test_each_step_is_rated_in_its_turn():
    answer = scored(judge(), path("2 + 2 = 4\n", "#### 5"))
    assert [score.rating for score in answer.items] == [1, -1]


def test_the_contract_of_reward_models():
    check_reward(judge, [path("2 + 2 = 4\n"), path("2 + 2 = 4\n", "#### 4"), path("2 + 2 = 5\n")])


def question_tokens(*texts):
    return sum(len(message.content.split()) for message in rating_messages(path(*texts)))


def test_a_step_is_asked_about_once_and_charged_once():
    backend = judge()
    first = scored(backend, path("2 + 2 = 4\n"), 1)
    cost = question_tokens("2 + 2 = 4\n") + 1
    assert first.usage.reward_tokens == cost and first.prefix_tokens == (0, cost)
    both = scored(backend, path("2 + 2 = 4\n", "#### 4"), 2)
    assert backend.counts == {"asked": 2, "retried": 0, "unreadable": 0}
    more = question_tokens("2 + 2 = 4\n", "#### 4") + 1
    assert both.prefix_tokens == (0, cost, cost + more)
    assert both.usage.reward_calls == 1


def test_unreadable_replies_are_asked_for_again():
    seen = []

    def mumble(messages, seed):
        seen.append(seed)
        return "right" if len(seen) == 3 else "hm"

    backend = judge(mumble)
    answer = scored(backend, path("2 + 2 = 4\n"))
    assert answer.items[0].rating == 1 and len(set(seen)) == 3
    assert backend.counts == {"asked": 3, "retried": 2, "unreadable": 0}
    assert answer.usage.reward_tokens == 3 * (question_tokens("2 + 2 = 4\n") + 1)


def test_what_stays_unreadable_is_unclear_and_told(caplog):
    backend = judge(lambda messages, seed: "hm", max_retries=1)
    answer = scored(backend, path("a\n", "b\n"))
    assert answer.items == (StepScore(0.0, 1.0, 0.0),) * 2
    assert backend.counts == {"asked": 4, "retried": 2, "unreadable": 2}
    backend.close()
    assert "2 of 2 steps could not be read" in caplog.text


def test_forgotten_steps_are_told_too(caplog, monkeypatch):
    monkeypatch.setattr("stepnav.rewards.judge.MAX_OPINIONS", 1)
    backend = judge(lambda messages, seed: "hm", max_retries=0)
    scored(backend, path("a\n", "b\n"))
    scored(backend, path("c\n"))
    backend.close()
    assert "3 of 3 steps could not be read" in caplog.text


class Words:
    """Answers with one word and its log-probability."""

    def __init__(self, word="right", logprob=-0.22, error=None):
        self.reply, self.error = Reply(word, "length", 1, logprob), error
        self.asked, self.cancelled, self.closed = {}, [], 0

    def submit(self, ticket, request):
        self.asked[ticket] = request

    def poll(self, timeout_s):
        answer = self.error or Answer((self.reply,), Usage(1, 90, 40, 1), (100,), 7)
        found = [(ticket, answer) for ticket in self.asked]
        self.asked = {}
        return found

    def cancel(self, ticket):
        self.asked.pop(ticket, None)
        self.cancelled.append(ticket)

    def close(self):
        self.closed += 1


def test_by_log_probabilities_one_token_is_asked_for():
    model = Words()
    backend = JudgeReward(model, read="logprob")
    backend.submit(0, Score(path("a\n")))
    (request,) = model.asked.values()
    assert request.sampling.max_tokens == 1 and request.sampling.temperature == 0
    ((_, answer),) = backend.poll(0.1)
    assert answer.items[0].positive_prob == pytest.approx(math.exp(-0.22))
    assert answer.usage.reward_tokens == 101  # the prompt as told for a search alone, and a token
    assert answer.usage.flops == 7 * 101
    with pytest.raises(BackendError, match="tells no log-probabilities"):
        raise scored(JudgeReward(Words(logprob=None), read="logprob"), path("a\n"))


def test_errors_reach_all_that_waits_and_are_not_remembered():
    model = Words(error=BackendError("down", provider="x"))
    backend = JudgeReward(model)
    backend.submit(0, Score(path("a\n")))
    backend.submit(1, Score(path("a\n", "b\n")))
    answers = dict(backend.poll(0.1))
    assert {ticket: str(error) for ticket, error in answers.items()} == {0: "down", 1: "down"}
    model.error = None
    assert scored(backend, path("a\n"), 2).items[0].rating == 1


def test_a_question_is_cancelled_with_the_last_that_waits_for_it():
    model = Words()
    backend = JudgeReward(model)
    backend.submit(0, Score(path("a\n")))
    backend.submit(1, Score(path("a\n", "b\n")))
    backend.cancel(1)
    assert len(model.asked) == 1 and len(model.cancelled) == 1  # the question about b
    assert [ticket for ticket, _ in backend.poll(0.1)] == [0]
    backend.cancel(0)
    backend.cancel(7)


def test_more_steps_than_are_remembered_are_answered_all_the_same(monkeypatch):
    monkeypatch.setattr("stepnav.rewards.judge.MAX_OPINIONS", 1)
    model = Words()
    backend = JudgeReward(model)
    for round_ in range(3):
        assert len(scored(backend, path("a\n", "b\n", "c\n"), round_).items) == 3
    assert backend.counts["asked"] == 9  # forgotten in between
    backend.submit(10, Score(path("a\n")))
    backend.submit(11, Score(path("b\n", "c\n")))
    assert {ticket for ticket, _ in backend.poll(0.1)} == {10, 11}
    backend.submit(12, Score(path("d\n", "e\n")))
    late = model.asked.popitem()
    assert backend.poll(0.1) == []
    backend.submit(13, Score(path("a\n")))  # what is rated of ticket 12 is forgotten here
    model.asked |= [late]
    assert {ticket for ticket, _ in backend.poll(0.1)} == {12, 13}
    backend.submit(14, Score(path("f\n")))
    backend.submit(15, Score(path("g\n")))
    for ticket in (14, 15):
        backend.cancel(ticket)
    assert not model.asked


def test_what_is_remembered_fits_into_a_long_lived_server():
    question = Problem("p", "What is 2 + 2? " * 20)
    backend = JudgeReward(Words())
    tracemalloc.start()
    try:
        for number in range(1, 101):
            steps = (Step(f"{line} of {number}: 2 + 2 is 4, as was said." * 2) for line in range(8))
            scored(backend, Trajectory(question, tuple(steps)), number)
        each = tracemalloc.get_traced_memory()[0] / 800
    finally:
        tracemalloc.stop()
    assert each * MAX_OPINIONS < 256 * 2**20


def search_with(policy, reward, name="hgs", budget=None, **options):
    search = make_search(name, options, budget=budget)
    problem = Search("s", search.strategy, PROBLEM, extract, budget or Budget())
    (result,) = Driver({"policy": policy, "reward": reward}).run([problem])
    return result


def test_the_policy_judges_itself():
    shared = SharedBackend(ScriptedPolicy.from_table(STEPS, reply=opinion))
    backend = JudgeReward(shared.port())
    result = search_with(shared.port(), backend, branching=8)
    assert (result.answer, result.outcome.stop_reason) == ("4", "accepted")
    asked = [node.trajectory for node in result.tree.nodes if node.score is not None]
    texts = [[step.text for step in trajectory.steps] for trajectory in asked]
    assert result.usage.reward_tokens == sum(question_tokens(*steps) + 1 for steps in texts)
    assert result.usage.reward_calls == len(asked) == backend.counts["asked"]


@pytest.mark.parametrize("limit", [0, 400, 2000, 5000])
def test_reward_budgets_hold(limit):
    shared = SharedBackend(ScriptedPolicy.from_table(STEPS, reply=lambda messages, seed: "hm"))
    backend = JudgeReward(shared.port())
    result = search_with(shared.port(), backend, budget=Budget(reward_tokens=limit))
    assert result.usage.reward_tokens <= limit


def test_two_owners_of_a_model_do_not_meet():
    policy = ScriptedPolicy.from_table(STEPS, reply=opinion)
    shared = SharedBackend(policy)
    one, two = shared.port(), shared.port()
    one.submit(5, Propose(Trajectory(PROBLEM), seed=1))
    two.submit(5, Ask(rating_messages(path("#### 5")), seed=1))
    one.submit(6, Propose(Trajectory(PROBLEM), seed=2))
    one.cancel(6)
    assert [(ticket, answer.items[0].text) for ticket, answer in two.poll(0.1)] == [(5, "wrong")]
    assert [ticket for ticket, _ in one.poll(0.1)] == [5]
    assert one.poll(0.0) == [] == two.poll(0.0)


def test_a_shared_model_is_closed_with_its_last_owner():
    model = Words()
    shared = SharedBackend(model)
    one, two = shared.port(), JudgeReward(shared.port())
    one.close()
    assert not model.closed
    two.close()
    assert model.closed == 1


def test_names_of_judges():
    assert as_judge("judge").model == "" and as_judge("judge").read == "answer"
    assert as_judge("judge-logprob:http://host/v1").model == "http://host/v1"
    assert as_judge("judge-logprob").read == "logprob"
    assert as_judge("arithmetic") is as_judge("judges") is as_judge(None) is None
    task = load_task("arithmetic")
    with pytest.raises(ConfigError, match="no model folder 'nowhere'"):
        check_models(policy="arithmetic", reward="judge:nowhere", task=task, policy_model=None)
    for name in ("judge", "judge-logprob", "judge:http://host/v1"):
        with pytest.raises(ConfigError, match="asked in this process: judge:FOLDER"):
            open_reward(name)


def test_a_judge_is_evaluated_like_other_reward_models():
    backend = open_reward("judge:plain")
    try:
        assert len(scored(backend, path("2 + 2 = 4\n", "#### 4")).items) == 2
        assert backend.counts["asked"] >= 2
    finally:
        backend.close()


@pytest.mark.parametrize("name", ["judge", "judge-logprob", "judge:plain"])
def test_shipped_models_are_asked(name):
    task = load_task("arithmetic")
    with open_models(policy="arithmetic", reward=name, task=task) as models:
        search = Search(
            "s", strategy("best_of_n")(samples=2), task.load("dev", 1, 0, None)[0], task.extract
        )
        (result,) = Driver(models.by_name).run([search])
        counts = models.reward.counts
    assert result.error is None and result.usage.reward_tokens > 200 * counts["asked"] > 0
