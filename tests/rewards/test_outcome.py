"""Outcome reward models of other shapes, encoders among them; class names and what they stand
for."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepnav.core.records import Problem, Trajectory
from stepnav.core.requests import Score
from stepnav.engine.runner import Runner
from stepnav.rewards.families.headed_models import PerToken
from stepnav.rewards.families.recognise import open_checkpoint
from tests.engine.small_models import poll_all
from tests.rewards import public_models
from tests.rewards.public_models import trajectories
from tests.rewards.references import REFERENCES
from tests.rewards.test_adapters import opened, score, values


@pytest.mark.parametrize(("num_labels", "template"), [(2, True), (1, False), (2, False)])
def test_other_outcome_models(tmp_path: Path, num_labels: int, template: bool) -> None:
    folder = public_models.outcome(tmp_path / "orm", num_labels=num_labels, template=template)
    wanted = trajectories()
    for trajectory, answer in zip(wanted, score(opened(folder), *wanted)):
        assert values(answer) == pytest.approx(REFERENCES["orm"](folder, trajectory), abs=1e-5)


def test_an_encoder_reads_every_prefix_whole(tmp_path: Path) -> None:
    folder = public_models.encoder_outcome(tmp_path / "orm")
    wanted = trajectories()
    backend = opened(folder)
    found = score(backend, *wanted)
    for trajectory, answer in zip(wanted, found):
        assert values(answer) == pytest.approx(REFERENCES["orm"](folder, trajectory), abs=1e-5)
        (alone,) = score(open_checkpoint(folder, device="cpu"), trajectory)
        assert values(alone) == pytest.approx(values(answer), abs=1e-6)
    read = backend.runner.num_read_tokens
    (again,) = score(backend, wanted[2])
    assert (again.items, again.usage.reward_tokens) == (found[2].items, 0)
    assert backend.runner.num_read_tokens == read
    for ticket in (30, 31):
        backend.submit(ticket, Score(Trajectory(Problem("q", f"New {ticket}?"), wanted[2].steps)))
    backend.cancel(30)
    assert set(poll_all(backend, 1)) == {31}
    assert backend.runner.num_running == backend.runner.num_waiting == 0


def test_an_encoder_is_charged_what_it_reads(tmp_path: Path) -> None:
    """A search that adds steps one by one, and one that adds them all at once."""
    from stepnav.run.accounting import KnownPrefixes, charge

    folder = public_models.encoder_outcome(tmp_path / "orm")
    whole = trajectories()[2]
    one_by_one = [
        Trajectory(whole.problem, whole.steps[:depth]) for depth in range(1, len(whole.steps) + 1)
    ]
    for wanted in (one_by_one, [whole]):
        backend = open_checkpoint(folder, device="cpu")
        known = KnownPrefixes()
        charged = 0
        for trajectory in wanted:
            (answer,) = score(backend, trajectory)
            charged += charge(Score(trajectory), answer, known).reward_tokens
        assert charged == backend.runner.num_read_tokens == backend.token_bound(Score(whole))


def test_a_template_with_a_clock_gives_the_same_scores_always(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    from stepnav.rewards.local.chat_text import render

    folder = public_models.outcome(tmp_path / "orm")
    path = folder / "chat_template.jinja"
    clock = "{{ 'Today: ' + strftime_now('%d %B %Y %H:%M:%S.%f') + '|' + strftime_now('%-d %b') }}|"
    path.write_text(clock + path.read_text())
    shown = render(AutoTokenizer.from_pretrained(folder), [("user", "Q"), ("assistant", "A")])
    assert shown.startswith("Today: 26 July 2024 00:00:00.000000|26 Jul|<|im_start|>system\n")


@pytest.mark.parametrize(
    ("names", "right"),
    [
        (("negative", "neutral", "positive"), 2),
        (("LABEL_0", "LABEL_1", "LABEL_2"), 2),
        (("positive", "negative"), 0),
        (("1", "0"), 0),
        (("-1", "0", "1"), 2),
    ],
)
def test_class_names_tell_the_ratings(tmp_path: Path, names: tuple[str, ...], right: int) -> None:
    folder = public_models.token_classes(tmp_path / "prm", names)
    (answer,) = score(opened(folder), trajectories()[2])
    plain = public_models.token_classes(tmp_path / "plain", [f"LABEL_{i}" for i in range(3)])
    if len(names) == 3:
        expected = REFERENCES["token-classes"](plain, trajectories()[2])
        assert values(answer) == pytest.approx(expected, abs=1e-5)
        assert all(item.neutral_prob > 0 for item in answer.items)
    else:
        wrong = REFERENCES["token-classes"](folder, trajectories()[2])
        assert [item.negative_prob for item in answer.items] == pytest.approx(wrong, abs=1e-5)
    assert right == names.index(names[right])


def test_a_backbone_with_a_window_as_long_as_its_context_is_run() -> None:
    from transformers import Qwen2MoeConfig, Qwen2MoeForSequenceClassification

    config = Qwen2MoeConfig(
        vocab_size=100, hidden_size=16, intermediate_size=16, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, moe_intermediate_size=8, num_experts=4,
        num_experts_per_tok=2,
        shared_expert_intermediate_size=8, use_sliding_window=True, sliding_window=64,
        max_window_layers=1, max_position_embeddings=64, num_labels=1, pad_token_id=0,
    )  # fmt: skip
    Runner(PerToken(Qwen2MoeForSequenceClassification(config).eval()), has_logits=False)
