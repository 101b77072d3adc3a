"""Drawing without replacement: exact beside the enumeration of all steps of a small model."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import replace
from functools import lru_cache
from typing import Any

import pytest
import torch

from stepnav.core.records import Draw, Problem, Step, Trajectory
from stepnav.core.requests import Complete, Propose, Sampling
from stepnav.policies import remainder
from stepnav.policies.function import FunctionPolicy
from stepnav.policies.local import LocalPolicy
from stepnav.policies.remainder import Place, Tries, shares, trie_of
from stepnav.policies.scripted import ScriptedPolicy
from stepnav.testing import check_policy, random_world
from tests.engine.small_models import causal_model, poll_all, prefix
from tests.engine.small_models import tokenizer as byte_tokenizer

LIMIT = 4
ROOT = Trajectory(Problem("p", "ab"))
SETTINGS = [Sampling(1.0), Sampling(0.2), Sampling(1.4, top_p=0.9)]


@lru_cache(maxsize=1)
def letters() -> tuple[Any, Any]:
    """Return a random model over three letters, a line break and an end, and its tokenizer."""
    from tokenizers import Tokenizer, decoders, models
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = {word: index for index, word in enumerate(["<s>", "</s>", "a", "b", "c", "\n"])}
    backend = Tokenizer(models.BPE(vocab=words, merges=[]))
    backend.decoder = decoders.Fuse()
    fast = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>")
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=6, hidden_size=16, intermediate_size=32, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=64,
        bos_token_id=0, eos_token_id=1,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    torch.nn.init.normal_(model.lm_head.weight, std=0.3)
    return model, fast


def small_policy(**options: Any) -> LocalPolicy:
    model, tokenizer = letters()
    return LocalPolicy(model, tokenizer, max_step_tokens=LIMIT, **options)


def ask(policy: LocalPolicy, n: int, sampling: Sampling, *, seed: int = 0, first: int = 0) -> Any:
    policy.submit(0, Propose(ROOT, n, sampling, seed=seed, first=first))
    return poll_all(policy, 1)[0].items


@lru_cache(maxsize=8)
def enumerated(temperature: float, top_p: float) -> dict[tuple[int, ...], float]:
    """Return the probability of every token sequence that is a step, or is cut at the limit."""
    model, tokenizer = letters()
    prompt = small_policy()._encoder.encode(ROOT)[0]
    found, begun = dict[tuple[int, ...], float](), {(): 1.0}
    while begun:
        tokens, mass = begun.popitem()
        with torch.no_grad():
            logits = model(torch.tensor([[*prompt, *tokens]])).logits[0, -1].double()
        logits[0] = -torch.inf  # the beginning is no text
        probs = torch.softmax(logits / temperature, -1)
        order = probs.argsort(descending=True)
        before = probs[order].cumsum(0) - probs[order]
        if top_p < 1:
            probs[order[before >= top_p]] = 0
        for token, prob in enumerate((probs / probs.sum()).tolist()):
            path = (*tokens, token)
            text = tokenizer.decode(path)
            is_whole = token == 1 or (text.strip() and text.endswith("\n"))
            if prob > 0:
                (found if is_whole or len(path) == LIMIT else begun)[path] = mass * prob
    assert sum(found.values()) == pytest.approx(1)
    return found


def with_(sampling: Sampling, steps: Any) -> Sampling:
    return Sampling(sampling.temperature, sampling.top_p, None, tuple(steps))


def share_left(root: Place, path: tuple[int, ...], known: dict[tuple[int, ...], float]) -> float:
    """Return what the trie makes of a whole step's probability, relative to all that is left."""
    place: Place | None = root
    for token in path:
        place = place.following.get(token) if place else None
    return 0.0 if place is not None else known[path] / math.exp(root.left)


@pytest.mark.parametrize("sampling", SETTINGS)
def test_probabilities_are_those_of_the_enumeration(sampling: Sampling) -> None:
    known = enumerated(sampling.temperature, sampling.top_p)
    policy = small_policy()
    steps = [*ask(policy, 6, with_(sampling, ()))]
    assert len({step.draw.tokens for step in steps}) == len(steps)
    for step in steps:
        mass = math.exp(sum(step.draw.logprobs))
        assert mass == pytest.approx(known[step.draw.tokens], abs=1e-6)
    for count in range(1, len(steps) + 1):
        taken = {step.draw.tokens for step in steps[:count]}
        left = 1 - sum(known[path] for path in taken)
        root = trie_of(steps[:count], LIMIT)
        assert math.exp(root.left) == pytest.approx(left, abs=1e-6)
        for path in known:
            expected = 0.0 if path in taken else known[path] / left
            assert share_left(root, path, known) == pytest.approx(expected, abs=1e-5)


def places_of(root: Place) -> dict[tuple[int, ...], tuple[float, float, float]]:
    """Return the numbers of all places by the tokens that lead there."""
    found = {(): (root.logprob, root.rest, root.left)}
    for token, place in root.following.items():
        found |= {(token, *path): numbers for path, numbers in places_of(place).items()}
    return found


def test_tries_are_kept_between_draws_and_no_draw_changes_what_another_sees() -> None:
    policy = small_policy()
    steps = ask(policy, 8, with_(SETTINGS[0], ()))
    tries, roots = Tries(), list[Place]()
    for count in range(len(steps) + 1):
        roots.append(tries.of(tuple(steps[:count]), LIMIT))
    for count, root in enumerate(roots):
        assert places_of(root) == places_of(trie_of(steps[:count], LIMIT))
    # from the trie of all steps no fewer can be made, nor those of another place that begins so
    assert places_of(tries.of(steps[:3], LIMIT)) == places_of(roots[3])
    others = [steps[0], *reversed(steps[3:])]
    assert places_of(tries.of(others, LIMIT)) == places_of(trie_of(others, LIMIT))
    assert places_of(tries.of(steps, 1)) == places_of(trie_of(steps, 1))


def test_tries_of_so_many_tokens_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remainder, "MAX_TOKENS", 100)
    policy, tries = small_policy(), Tries()
    drawn = [ask(policy, 3, with_(SETTINGS[0], ()), seed=seed) for seed in range(50)]
    for steps in drawn:
        tries.of(steps[:2], LIMIT)
        assert places_of(tries.of(steps, LIMIT)) == places_of(trie_of(steps, LIMIT))
    assert 1 < len(tries._kept) < len(drawn)
    assert sum(kept.num_tokens for kept in tries._kept.values()) == tries._num_tokens <= 100


@pytest.mark.parametrize("sampling", SETTINGS)
def test_frequencies_are_those_of_the_enumeration(sampling: Sampling) -> None:
    known = enumerated(sampling.temperature, sampling.top_p)
    policy = small_policy()
    steps = ask(policy, 3, with_(sampling, ()), seed=5)
    taken = {step.draw.tokens for step in steps}
    left = {path: mass for path, mass in known.items() if path not in taken}
    num = 2000
    for number in range(num):
        policy.submit(number, Propose(ROOT, 1, with_(sampling, steps), seed=number))
    drawn = Counter(answer.items[0].draw.tokens for answer in poll_all(policy, num).values())
    assert not taken & set(drawn)
    total = sum(left.values())
    common = {path: num * mass / total for path, mass in left.items() if num * mass / total >= 5}
    rare = num - sum(common.values())
    parts = [(drawn[path], mean) for path, mean in common.items()]
    if rare >= 1:
        parts.append((num - sum(count for count, _ in parts), rare))
    square = sum((count - mean) ** 2 / mean for count, mean in parts)
    freedom = len(parts) - 1
    assert square < freedom + 4 * math.sqrt(2 * freedom) + 4  # four standard deviations


def test_all_steps_come_once_and_then_none() -> None:
    sampling = Sampling(1.4, top_p=0.9)
    known = enumerated(1.4, 0.9)
    steps = ask(small_policy(), len(known) + 5, with_(sampling, ()))
    assert Counter(step.draw.tokens for step in steps) == Counter(dict.fromkeys(known, 1))
    assert ask(small_policy(), 2, with_(sampling, steps)) == ()


def test_torch_may_be_told_to_use_deterministic_algorithms_alone() -> None:
    def drawn() -> list[str]:
        policy = small_policy()
        first = ask(policy, 3, Sampling(1.0, without=()))
        return [step.text for step in ask(policy, 3, Sampling(1.0, without=first))]

    usual = drawn()
    torch.use_deterministic_algorithms(True)
    try:
        assert drawn() == usual
    finally:
        torch.use_deterministic_algorithms(False)


def test_a_request_in_parts_draws_what_it_draws_whole() -> None:
    whole = ask(small_policy(), 5, with_(Sampling(0.7), ()), seed=9)
    parts: list[Step] = []
    for first in range(5):
        parts += ask(small_policy(), 1, with_(Sampling(0.7), parts), seed=9, first=first)
    assert tuple(parts) == whole


def test_a_draw_costs_the_tokens_from_where_it_leaves_the_known_steps() -> None:
    policy = small_policy()
    policy.submit(0, Propose(ROOT, 12, with_(Sampling(0.7), ()), seed=2))
    answer = poll_all(policy, 1)[0]
    model, _ = letters()
    prompt = policy._encoder.encode(ROOT)[0]
    begun: set[tuple[int, ...]] = set()
    for step in answer.items:
        tokens = step.draw.tokens
        begins = [tokens[:length] for length in range(1, len(tokens) + 1)]
        assert step.num_tokens == len(tokens) - sum(begin in begun for begin in begins) > 0
        begun.update(begins)
        with torch.no_grad():
            logs = model(torch.tensor([[*prompt, *tokens]])).logits[0].log_softmax(-1)
        own = sum(float(logs[len(prompt) - 1 + at, token]) for at, token in enumerate(tokens))
        assert step.logprob == pytest.approx(own, abs=1e-4)
    assert answer.usage.policy_tokens == sum(step.num_tokens for step in answer.items)
    assert answer.usage.policy_tokens < sum(len(step.draw.tokens) for step in answer.items)
    assert answer.usage.policy_cached_tokens <= answer.usage.policy_prompt_tokens


def test_first_greedy_then_the_rest_under_the_later_temperature() -> None:
    known = enumerated(0.2, 1.0)
    first = Sampling(0.0, without=(), later_temperature=0.2)
    (greedy,) = ask(small_policy(), 1, first)
    assert greedy.draw.tokens == max(known, key=lambda path: known[path])
    assert (greedy.text, greedy.logprob) == (
        ask(small_policy(), 1, Sampling(0.0))[0].text,
        ask(small_policy(), 1, Sampling(0.0))[0].logprob,
    )
    mass = math.exp(sum(greedy.draw.logprobs))
    assert mass == pytest.approx(known[greedy.draw.tokens], abs=1e-6)
    (second,) = ask(small_policy(), 1, Sampling(0.0, without=(greedy,), later_temperature=0.2))
    assert second.draw.tokens != greedy.draw.tokens


def test_what_is_left_beside_a_nearly_certain_step_is_exact() -> None:
    """At a low temperature 1 minus what was drawn would be rounding."""
    known = enumerated(0.1, 1.0)
    ranked = sorted(known, key=lambda path: -known[path])
    steps = ask(small_policy(), 3, Sampling(0.1, without=()))
    root = trie_of(steps, LIMIT)
    left = math.fsum(known[path] for path in ranked if path not in {s.draw.tokens for s in steps})
    assert left < 1e-9
    assert root.left == pytest.approx(math.log(left), abs=1e-4)


def test_steps_that_another_limit_cut_exclude_nothing() -> None:
    cut = Step("ab", "length", 2, (2, 3), None, Draw((2, 3), (-1.0, -1.0), (-0.5, -0.5)))
    assert trie_of([cut], 4).following == {}
    assert trie_of([cut], 2).left == pytest.approx(
        math.log(math.exp(-0.5) + math.exp(-1.0) * math.exp(-0.5))
    )
    assert trie_of([Step("ab\n")], 4).following == {}


def test_a_solution_draws_its_first_step_from_what_is_left() -> None:
    policy = small_policy()
    steps = ask(policy, 4, Sampling(1.0, without=()))
    for seed in range(40):
        policy.submit(seed, Complete(ROOT, 1, Sampling(1.0, 1.0, 9, steps), seed=seed))
    taken = {step.text for step in steps if not step.is_cut}
    for answer in poll_all(policy, 40).values():
        assert answer.items[0].steps[0].text not in taken


def trees(**options: Any) -> dict[int, tuple[Step, ...]]:
    policy = LocalPolicy(causal_model(), byte_tokenizer(), max_step_tokens=16, **options)
    samplings = [Sampling(0.5, without=()), Sampling(1.0), Sampling(1.0, 0.9, None, ())]
    found: dict[int, tuple[Step, ...]] = {}
    for round_ in range(2):
        for index, sampling in itertools.product(range(4), samplings):
            key = 10 * index + samplings.index(sampling)
            own = sampling if sampling.without is None else with_(sampling, found.get(key, ()))
            policy.submit(key, Propose(prefix(index), 3, own, seed=100 * round_ + key))
        for key, answer in poll_all(policy, 12).items():
            found[key] = (*found.get(key, ()), *answer.items)
    return found


def test_batches_of_1_16_and_64_draw_the_same() -> None:
    whole = trees(max_batch=64)
    assert trees(max_batch=16, pass_tokens=24) == whole
    assert trees(max_batch=1) == whole
    for key, steps in whole.items():
        if key % 10 != 1:
            assert len({step.draw.tokens for step in steps}) == 6


MAKERS = {
    "local": small_policy,
    "random world": lambda: random_world(3)[0],
    "table": lambda: ScriptedPolicy.from_table({"": ["a\n", "b\n", "c\n"]}),
    "function": lambda: FunctionPolicy(lambda question, steps, seed: f"{seed % 5}\n"),
}


@pytest.mark.parametrize("name", MAKERS)
def test_every_policy_keeps_to_the_contract(name: str) -> None:
    check_policy(MAKERS[name], [Problem("p", "ab"), Problem("q", "b")])


def test_the_contract_finds_a_policy_that_draws_twice() -> None:
    class Deaf(ScriptedPolicy):
        def submit(self, ticket: int, request: Any) -> None:
            super().submit(
                ticket, replace(request, sampling=replace(request.sampling, without=None))
            )

    with pytest.raises(AssertionError, match="drawn twice"):
        check_policy(lambda: Deaf(lambda *_: "same\n"), [Problem("p", "ab")])


@pytest.mark.parametrize("rank", [1, 30, 500, 20_000])
def test_shares_from_a_list_of_the_likeliest(rank: int) -> None:
    """What is not listed is estimated below temperature 1, and known at it."""
    logs = {token: -1.1 * math.log(token + 1) for token in range(30_000)}
    whole = math.log(math.fsum(map(math.exp, logs.values())))
    logs = {token: log - whole for token, log in logs.items()}
    listed = {token: logs[token] for token in (*range(20), rank)}
    for temperature, error in ((1.0, 1e-9), (0.5, 0.1)):
        scaled = {token: log / temperature for token, log in logs.items()}
        sum_ = math.log(math.fsum(map(math.exp, scaled.values())))
        taken = {token: Place(scaled[token] - sum_) for token in (0, 2)}
        logprob, rest = shares(listed, rank, taken, temperature)
        assert logprob == pytest.approx(scaled[rank] - sum_, abs=error)
        left = math.fsum(math.exp(scaled[t]) for t in scaled if t not in (0, 2, rank))
        assert -1e-9 < rest - math.log(left) + sum_ < 5 * error + 1e-9


def test_shares_of_the_impossible() -> None:
    assert shares({0: 0.0, 1: -9999.0}, 0, {}, 0.5) == (0.0, -math.inf)
    assert shares({0: 0.0, 1: -9999.0}, 1, {}, 0.5)[0] == -19998.0
