from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

import stepnav
import stepnav.rewards
from stepnav.core.errors import BackendError, ConfigError
from stepnav.train.reward_function import RewardFunction, as_reward_function

SEEN: list[tuple[str, tuple[str, ...]]] = []


def rate(question: str, steps: Sequence[str]) -> list[float]:
    SEEN.append((question, tuple(steps)))
    return [0.5 if "bad" in step else 0.8 for step in steps]


@pytest.fixture
def reward() -> Iterator[RewardFunction]:
    SEEN.clear()
    found = as_reward_function(rate, aggregation="prod")
    with closing(found.backend):
        yield found


def test_it_is_found_where_rewards_are() -> None:
    assert stepnav.rewards.as_reward_function is as_reward_function
    with pytest.raises(AttributeError, match="nothing"):
        stepnav.rewards.nothing  # noqa: B018


def test_trl_asks_with_texts_or_turns(reward: RewardFunction) -> None:
    assert reward(prompts=["q\n", "q\n"], completions=["a\nb", "bad"], completion_ids=[]) == (
        pytest.approx([0.64, 0.5])
    )
    assert SEEN == [("q", ("a\n", "b")), ("q", ("bad",))]
    turns = [{"role": "system", "content": "s"}, {"role": "user", "content": "q2"}]
    answer = [{"role": "assistant", "content": "a\nbad"}]
    assert reward(prompts=[turns], completions=[answer]) == pytest.approx([0.4])
    assert SEEN[-1][0] == "q2"
    reward(prompts=["Solve: q3"], completions=["a"], question=["q3"])
    assert SEEN[-1][0] == "q3"


def test_turns_may_be_in_parts_of_text(reward: RewardFunction) -> None:
    turn = {"role": "user", "content": [{"type": "text", "text": "q4"}]}
    parts = [{"type": "text", "text": "a\n"}, {"type": "text", "text": "b"}]
    found = reward(prompts=[[turn]], completions=[[{"role": "assistant", "content": parts}]])
    assert found == pytest.approx([0.64])
    assert SEEN[-1] == ("q4", ("a\n", "b"))


@pytest.mark.parametrize("content", [None, [{"type": "image", "url": "x"}], ["a"], 7, {"text": 1}])
def test_turns_of_anything_else_are_refused(reward: RewardFunction, content: object) -> None:
    with pytest.raises(ConfigError, match="must be text or a list of text parts"):
        reward(prompts=["q"], completions=[[{"role": "assistant", "content": content}]])


def test_a_blank_completion_has_no_reward_to_gain(reward: RewardFunction) -> None:
    assert reward(prompts=["q", "q"], completions=["", "a"]) == pytest.approx([0.0, 0.8])


def test_verl_asks_for_one_solution(reward: RewardFunction) -> None:
    found = reward.compute_score("gsm8k", "a\nbad", "19", {"question": "q", "index": 3})
    assert found == pytest.approx(0.4)
    with pytest.raises(ConfigError, match=r'extra_info\["question"\] \(got \[\'index\'\] of gsm'):
        reward.compute_score("gsm8k", "a", "19", {"index": 3})


def test_openrlhf_asks_with_queries() -> None:
    reward = as_reward_function(rate, question=lambda text: text[2:], end_text="</s>")
    with closing(reward.backend):
        queries = ["<s>Q:one\nbad\nb</s>", "<s>Q:two\na</s>"]
        found = reward.reward_func(queries, ["Q:one\n", "Q:two\n"], ["1", "2"])
        assert SEEN[-1] == ("two\n", ("a",))
        reward.reward_func(["<s>Q:two\na\nQ:two\nbad</s>"], ["Q:two\n"], ["2"])
    assert found["extra_logs"]["step_reward"] is found["scores"]
    assert found["rewards"].tolist() == pytest.approx([0.5, 0.8])
    assert found["scores"].tolist() == pytest.approx([0.5, 0.8])
    assert SEEN[-1] == ("two\n", ("a\n", "Q:two\n", "bad"))


def test_threads_may_ask_at_once(reward: RewardFunction) -> None:
    texts = ["a", "bad"] * 20
    with ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(lambda text: reward.compute_score("", text, "", {"question": "q"}), texts)
        )
    assert found == pytest.approx([0.8, 0.5] * 20)


def test_what_cannot_be_scored_is_unknown_to_trl_and_an_error_elsewhere() -> None:
    reward = as_reward_function(lambda q, steps: [0.5] if len(steps) == 1 else [])
    with closing(reward.backend):
        assert reward(prompts=["q", "q"], completions=["a", "a\nb"]) == [0.5, None]
        with pytest.raises(BackendError, match="one score per step"):
            reward(prompts=["q"], completions=["a\nb"])
        with pytest.raises(BackendError, match="one score per step"):
            reward.compute_score("", "a\nb", "", {"question": "q"})


def test_a_shipped_reward_model_rates_whole_solutions() -> None:
    question = "Ann has 7 apples. Ann buys 12 apples. How many apples does Ann have now?"
    with closing(stepnav.open_reward("arithmetic")) as model:
        reward = as_reward_function(model)
        right, wrong = reward(
            prompts=[question] * 2,
            completions=[f"Now there are 7 + 12 = {n} apples.\n#### {n}" for n in (19, 18)],
        )
    assert right is not None and wrong is not None
    assert right > wrong


def test_an_unknown_aggregation_is_refused() -> None:
    with pytest.raises(ConfigError, match="aggregation must be one of last, min, mean, prod"):
        as_reward_function(rate, aggregation="median")
