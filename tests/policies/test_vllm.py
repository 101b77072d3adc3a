"""The policy and the reward models by vLLM, over a stand-in; the real one where it is installed."""

from __future__ import annotations

import importlib.util
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stepnav import build
from stepnav.core.errors import BackendDown, ConfigError
from stepnav.core.records import Message, Problem, Step, Trajectory
from stepnav.core.requests import Ask, Complete, Propose, Request, Sampling, Score
from stepnav.policies.local import LocalPolicy, PolicyFormat
from stepnav.policies.vllm import VllmPolicy, _allowed
from stepnav.rewards.families.recognise import open_checkpoint
from stepnav.rewards.vllm import open_vllm_reward
from stepnav.testing import _ask as ask
from stepnav.testing import check_policy, check_reward
from stepnav.zoo import MODELS_FOLDER
from tests import fake_vllm
from tests.cli.test_server import call
from tests.policies.test_remainder import LIMIT, ROOT, enumerated, letters
from tests.policies.tiny_model import save_tiny_model
from tests.rewards import public_models

POLICY, PRM = MODELS_FOLDER / "arithmetic-policy", MODELS_FOLDER / "arithmetic-prm"
HAS_VLLM = importlib.util.find_spec("vllm") is not None
OPTIONS = "--max-model-len 512"
REAL = pytest.param(
    "vllm",
    marks=[
        pytest.mark.slow,
        pytest.mark.vllm,
        pytest.mark.timeout(900),
        pytest.mark.filterwarnings("default"),  # vLLM's own
        pytest.mark.skipif(not HAS_VLLM, reason="vllm is not installed in this environment"),
    ],
)
PROBLEMS = list(build.load_task("arithmetic").load("test", 2, 0, None))


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> type[fake_vllm.LLMEngine]:
    return fake_vllm.install(monkeypatch)


@pytest.fixture(params=["stand-in", REAL])
def options(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return options for an engine, which is there."""
    if request.param == "stand-in":
        fake_vllm.install(monkeypatch)
        return OPTIONS
    for name, value in {
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_NO_USAGE_STATS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    return f"{OPTIONS} --enforce-eager --block-size 32"


@pytest.fixture
def policy(options: str) -> Iterator[VllmPolicy]:
    opened = VllmPolicy(POLICY, options=options)
    yield opened
    opened.close()
    opened.close()


def texts(items: Sequence[Step]) -> list[str]:
    return [step.text for step in items]


def test_it_draws_what_our_engine_draws(policy: VllmPolicy) -> None:
    local = LocalPolicy(POLICY, device="cpu")
    for problem in PROBLEMS:
        root, greedy = Trajectory(problem), Sampling(0.0)
        (solution,) = ask(local, Complete(root, sampling=greedy, seed=0)).items
        for request in (
            Complete(root, sampling=greedy, seed=0),
            Propose(root, sampling=greedy, seed=0),
            Propose(root.extend(*solution.steps[:2]), sampling=greedy, seed=0),
            Propose(root, sampling=Sampling(0.0, max_tokens=5), seed=0),
            Ask(
                (Message("user", problem.question),), sampling=Sampling(0.0, max_tokens=20), seed=0
            ),
        ):
            ours, theirs = ask(local, request), ask(policy, request)
            assert theirs.prefix_tokens == ours.prefix_tokens
            assert theirs.usage.policy_tokens == ours.usage.policy_tokens
            assert theirs.flops_per_token == ours.flops_per_token
            for one, other in zip(parts(ours.items), parts(theirs.items), strict=True):
                same = ("text", "finish", "num_tokens", "token_ids")
                assert all(getattr(one, n, 0) == getattr(other, n, 0) for n in same)
                assert other.logprob == pytest.approx(one.logprob, abs=1e-4)
    # the real engine in one process can be started once, so its contract is checked here
    check_policy(lambda: Kept(policy), PROBLEMS[:1])
    check_seeds(policy)
    check_leaving(policy)


def parts(items: Sequence[Any]) -> Sequence[Any]:
    return [part for item in items for part in getattr(item, "steps", (item,))]


class Kept:
    """A backend that is not closed."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend

    def close(self) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)


def check_seeds(policy: VllmPolicy) -> None:
    def draw(seed: int, first: int = 0, n: int = 8) -> list[str]:
        request = Propose(Trajectory(PROBLEMS[1]), n, Sampling(1.5), seed=seed, first=first)
        return texts(ask(policy, request).items)

    whole = draw(1)
    assert whole == draw(1)
    assert whole != draw(2)
    assert len(set(whole)) > 1
    assert whole[:3] + draw(1, 3, 5) == whole  # however a request is split


def check_leaving(policy: VllmPolicy) -> None:
    """A request that is left leaves nothing behind."""
    request = Complete(Trajectory(PROBLEMS[0]), 8, Sampling(1.0), seed=0)
    policy.submit(900, request)
    policy.submit(901, request)
    policy.poll(0.0)
    policy.cancel(900)
    found = [ticket for _ in range(400) for ticket, _ in policy.poll(0.01)]
    assert found == [901]
    assert not policy.runner._engine.has_unfinished_requests() if HAS_VLLM else True
    assert not policy.runner._rows


TINY = Problem("p", "ab")


@pytest.mark.parametrize("separator", ["\n", "a", "ab", "\n\n"])
def test_steps_end_as_in_our_engine(separator: str, engine: Any, tmp_path: Path) -> None:
    folder = save_tiny_model(tmp_path / "model")
    format_ = PolicyFormat(separator=separator, answer_pattern="9")
    policy = VllmPolicy(folder, format=format_)
    for number in range(8):
        for kind in (Propose, Complete):
            request = kind(
                Trajectory(TINY), 1, Sampling(3.0, max_tokens=9 * number + 1), seed=number
            )
            (item,) = ask(policy, request).items
            steps = parts([item])
            for at, step in enumerate(steps):
                inner = step.text.lstrip()
                ends = separator in inner
                assert not ends or inner.index(separator) + len(separator) == len(inner)
                assert step.finish != "step" or ends
                assert step.finish != "length" or not ends or kind is Complete
                assert step.finish == "step" or at == len(steps) - 1
                if "9" in step.text and ends:
                    assert step.finish == "end"
    stops = engine.last.asked[0].params.stop_token_ids
    assert len(stops) == (2 if len(separator) == 1 else 1)  # by token where there is one
    assert not engine.last.requests  # what went past a boundary was ended


def test_a_leading_blank_line_is_continued(engine: Any, tmp_path: Path) -> None:
    policy = VllmPolicy(save_tiny_model(tmp_path / "model"), format=PolicyFormat(separator="\n"))
    for seed in range(300):
        request = Propose(Trajectory(TINY), 1, Sampling(3.0, max_tokens=60), seed=seed)
        (step,) = ask(policy, request).items
        if step.text.startswith("\n") and step.finish == "step":
            break
    assert step.text.strip()
    first, *more = engine.last.asked[
        -step.text[: len(step.text) - len(step.text.lstrip())].count("\n") - 1 :
    ]
    assert more and all(later.tokens[: len(first.tokens)] == first.tokens for later in more)
    assert len({request.params.seed for request in (first, *more)}) == len(more) + 1


def test_no_mark_is_ever_drawn(engine: Any, tmp_path: Path) -> None:
    policy = VllmPolicy(save_tiny_model(tmp_path / "model"))
    request = Complete(Trajectory(TINY), 16, Sampling(5.0, max_tokens=60), seed=0)
    assert not any(
        "<unk>" in item.text or "<s>" in item.text for item in ask(policy, request).items
    )
    assert set(engine.last.asked[0].params.logit_bias) == {0, 2}


def test_drawing_again_shares_the_limit(engine: Any) -> None:
    policy = VllmPolicy(POLICY)
    root = Trajectory(PROBLEMS[0])
    (step,) = ask(policy, Propose(root, sampling=Sampling(0.0), seed=0)).items
    without = Sampling(0.0, without=(step,), max_tokens=40)
    answer = ask(policy, Propose(root, 3, without, seed=0))
    assert answer.items == ()  # greedy draws are all the same
    without = Sampling(0.01, without=(step,), max_tokens=40)
    answer = ask(policy, Propose(root, 1, without, seed=0))
    assert answer.items == ()
    assert 40 - step.num_tokens <= answer.usage.policy_tokens <= 40


@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_what_is_left_is_drawn_as_the_enumeration_has_it(
    temperature: float, engine: Any, tmp_path: Path
) -> None:
    model, tokenizer = letters()
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    policy = VllmPolicy(tmp_path, max_step_tokens=LIMIT)
    known = enumerated(temperature, 1.0)
    steps = ask(policy, Propose(ROOT, 3, Sampling(temperature, without=()), seed=1)).items
    for step in steps:
        assert math.exp(sum(step.draw.logprobs)) == pytest.approx(known[step.draw.tokens], rel=1e-3)
    taken = {step.draw.tokens for step in steps}
    left = {tokens: mass for tokens, mass in known.items() if tokens not in taken}
    num = 600
    without, engine.last.asked = Sampling(temperature, without=steps), []
    answers = [ask(policy, Propose(ROOT, 1, without, seed=seed)) for seed in range(num)]
    drawn = Counter(answer.items[0].draw.tokens for answer in answers)
    assert not taken & set(drawn)
    for tokens, mass in left.items():
        mean = num * mass / sum(left.values())
        assert abs(drawn[tokens] - mean) < 4.5 * math.sqrt(mean) + 4
    spent = sum(answer.usage.policy_tokens for answer in answers)
    assert spent == sum(answer.items[0].num_tokens for answer in answers) < drawn.total() * LIMIT
    assert policy.token_bound(Propose(ROOT, 1, without)) == LIMIT
    departures = [a for a in engine.last.asked if len(a.params.logit_bias) > 1]
    assert len(departures) == num and all(a.params.max_tokens == 1 for a in departures)


def test_where_nothing_is_left_one_token_tells_it(engine: Any, tmp_path: Path) -> None:
    model, tokenizer = letters()
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    policy = VllmPolicy(tmp_path, max_step_tokens=2)
    steps = ask(policy, Propose(ROOT, 40, Sampling(1.0, without=()), seed=1)).items
    assert 4 < len(steps) < 40  # all that there are
    assert len({step.draw.tokens for step in steps}) == len(steps)
    answer = ask(policy, Propose(ROOT, 5, Sampling(1.0, without=steps), seed=2))
    assert (answer.items, answer.usage.policy_tokens) == ((), 1)


def test_a_prefix_is_cached_at_most_whole(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = engine.drawn

    def all_cached(self: Any, request: Any) -> Any:
        output = drawn(self, request)
        if output is not None:
            output.num_cached_tokens = len(request.tokens)
        return output

    monkeypatch.setattr(engine, "drawn", all_cached)
    policy, root = VllmPolicy(POLICY), Trajectory(PROBLEMS[0])
    steps: tuple[Step, ...] = ()
    for seed in range(4):
        answer = ask(policy, Propose(root, 1, Sampling(1.0, without=steps), seed=seed))
        assert answer.usage.policy_cached_tokens <= answer.usage.policy_prompt_tokens
        steps += answer.items


def test_marks_may_be_all_that_a_model_wants_to_draw() -> None:
    certain = {7: SimpleNamespace(logprob=0.0), 8: SimpleNamespace(logprob=-50.0)}
    assert _allowed(certain, {7})[8] == pytest.approx(0.0)
    assert _allowed({7: certain[7]}, {7}) == {}
    even = {7: SimpleNamespace(logprob=math.log(0.5)), 8: SimpleNamespace(logprob=math.log(0.25))}
    assert _allowed(even, {7})[8] == pytest.approx(math.log(0.5))


def test_an_engine_that_fails_is_down(engine: Any) -> None:
    policy = VllmPolicy(POLICY)
    policy.submit(0, Propose(Trajectory(PROBLEMS[0]), seed=0))
    engine.last.is_broken = True
    with pytest.raises(BackendDown, match="vLLM failed: RuntimeError: 'EngineCore"):
        policy.poll(1.0)
    policy.close()
    policy.close()
    assert engine.last.is_shut


def test_a_request_that_vllm_refuses_fails_alone(
    engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = VllmPolicy(POLICY)
    request = Propose(Trajectory(PROBLEMS[0]), 2, Sampling(0.0), seed=0)
    add, count = engine.add_request, iter(range(9))

    def refuse_the_second(self: Any, name: str, prompt: Any, params: Any) -> None:
        if next(count) == 1:
            raise ValueError("no such thing")
        add(self, name, prompt, params)

    monkeypatch.setattr(engine, "add_request", refuse_the_second)
    with pytest.raises(BackendDown, match="no such thing"):
        ask(policy, request)
    assert not engine.last.requests  # its first sample was taken back
    assert len(ask(policy, request).items) == 2


def test_a_prompt_beyond_the_context_fails_alone(engine: Any) -> None:
    policy = VllmPolicy(POLICY, options="--max-model-len 20")
    with pytest.raises(Exception, match="the model's context is 20"):
        ask(policy, Propose(Trajectory(PROBLEMS[0]), seed=0))


def test_options_are_vllms_own(engine: Any) -> None:
    VllmPolicy(POLICY, dtype="bfloat16", options="--tensor-parallel-size 2 --dtype float16")
    args = engine.last.args
    assert args.tensor_parallel_size == "2"
    assert args.dtype == "float16"  # the user's own counts
    assert args.enable_prefix_caching and args.no_enable_chunked_prefill


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--tensor-paralel 2", "vLLM takes no such options .*--tensor-paralel"),
        ("--max-model-len long", "invalid int value"),
        ("'", "vLLM's options cannot be read"),
        ("--max-model-len 99999", "vLLM cannot run .*greater than"),
    ],
)
def test_wrong_options_are_one_line(options: str, said: str, engine: Any) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        VllmPolicy(POLICY, options=options)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(HAS_VLLM, reason="vllm is installed")
@pytest.mark.parametrize(
    "arguments",
    [
        ["--policy", "vllm:arithmetic"],
        ["--reward", "vllm:arithmetic"],
        ["--reward", "judge:vllm:arithmetic"],
    ],
)
def test_without_vllm(arguments: list[str]) -> None:
    status, _, err = call("solve", "--task", "arithmetic", *arguments, "1 + 1")
    assert (status, err.count("\n")) == (2, 1)
    assert "pip install vllm" in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--vllm", "--seed 1"], "--vllm is for --policy vllm:MODEL (got arithmetic)"),
        (["--reward-vllm", "--seed 1"], "--reward-vllm is for --reward vllm:MODEL"),
        (["--policy", "vllm:arithmetik"], "did you mean 'arithmetic'"),
    ],
)
def test_options_without_their_engine(arguments: list[str], says: str) -> None:
    status, _, err = call("solve", "--task", "arithmetic", *arguments, "1 + 1")
    assert (status, err.count("\n")) == (2, 1)
    assert says in err


def test_by_their_names(engine: Any) -> None:
    task = build.load_task("arithmetic")
    names = {"policy": "vllm:arithmetic", "reward": "vllm:prm:arithmetic"}
    limits = {"vllm": "--max-model-len 400", "reward_vllm": "--max-model-len 300"}
    with build.open_models(**names, task=task, device="cpu", **limits) as models:
        assert isinstance(models.policy, VllmPolicy)
        assert models.reward is not None
        known = build.open_reward("arithmetic")
        (solution,) = ask(models.policy, Complete(Trajectory(PROBLEMS[0]), seed=0)).items
        ours, theirs = scored(known, [solution]) + scored(models.reward, [solution])
        assert theirs.items[0].value == pytest.approx(ours.items[0].value, abs=1e-4)
    assert engine.last.args.max_model_len == 300


def scored(backend: Any, trajectories: Sequence[Trajectory]) -> list[Any]:
    requests: list[Request] = [Score(trajectory) for trajectory in trajectories]
    return [ask(backend, request) for request in requests]


def solutions() -> list[Trajectory]:
    local = LocalPolicy(POLICY, device="cpu")
    asked = (Complete(Trajectory(problem), 2, Sampling(1.0), seed=0) for problem in PROBLEMS)
    return [item for request in asked for item in ask(local, request).items]


def test_rewards_are_those_of_this_process(options: str) -> None:
    known = solutions()
    reward = open_vllm_reward(PRM, options=options)
    local = open_checkpoint(PRM, device="cpu")
    for ours, theirs in zip(scored(local, known), scored(reward, known), strict=True):
        assert theirs.prefix_tokens == ours.prefix_tokens
        assert theirs.flops_per_token == ours.flops_per_token
        for one, other in zip(ours.items, theirs.items, strict=True):
            assert other.positive_prob == pytest.approx(one.positive_prob, abs=1e-4)
            assert other.negative_prob == pytest.approx(one.negative_prob, abs=1e-4)
    check_reward(lambda: reward, known[:2])


def test_families_that_write_labels_are_refused(engine: Any, tmp_path: Path) -> None:
    folder = public_models.math_shepherd(tmp_path / "math-shepherd")
    with pytest.raises(ConfigError, match="pooling runner does not run math-shepherd"):
        open_vllm_reward(folder, family="math-shepherd")
