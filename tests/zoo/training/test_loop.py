from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from stepnav.core.errors import DataError
from stepnav.zoo.training.batches import IGNORED, TokenExamples, bucket_width, plan_batches
from stepnav.zoo.training.lm import lm_loss
from stepnav.zoo.training.loop import CHECKPOINT_NAME, Trainer
from stepnav.zoo.training.settings import TrainSettings


def tiny_examples(count: int = 40) -> TokenExamples:
    rng = np.random.default_rng(0)
    rows = [rng.integers(3, 20, rng.integers(5, 60)).tolist() for _ in range(count)]
    return TokenExamples.from_rows((row, row) for row in rows)


class TinyModel(torch.nn.Module):
    """An embedding, one hidden matrix in a layer, a head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.embed = torch.nn.Embedding(20, 8)
        self.layers = torch.nn.ModuleList([torch.nn.Linear(8, 8, bias=False)])
        self.head = torch.nn.Linear(8, 20)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        hidden = self.embed(ids)
        return self.head(hidden + torch.tanh(self.layers[0](hidden)))  # type: ignore[no-any-return]


def trainer(folder: Path, model: TinyModel, **changes: object) -> Trainer:
    settings = TrainSettings(
        **{  # type: ignore[arg-type]
            "total_tokens": 4000,
            "batch_tokens": 256,
            "warmup_tokens": 300,
            "compile": False,
            "bfloat16": False,
            "log_steps": 1,
            "checkpoint_s": 1e9,
            **changes,
        }
    )

    def loss(ids: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        flat = model(ids)[:, :-1].reshape(-1, 20)
        return torch.nn.functional.cross_entropy(
            flat, targets[:, 1:].reshape(-1), ignore_index=IGNORED
        )

    examples = tiny_examples()
    return Trainer(model, loss, lambda epoch: examples, pad_id=2, folder=folder, settings=settings)


def weights(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


class Killed(Exception):
    pass


def test_a_killed_run_goes_on_and_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    undisturbed = TinyModel()
    trainer(tmp_path / "a", undisturbed).run()

    def kill(tokens: int, total: int, loss: float) -> None:
        if tokens > 2000:
            raise Killed

    with pytest.raises(Killed):
        trainer(tmp_path / "b", TinyModel(), checkpoint_s=0.0).run(progress=kill)
    resumed = TinyModel()
    second = trainer(tmp_path / "b", resumed)
    assert 0 < second.position.tokens < 4000
    second.run()
    assert torch.equal(weights(resumed), weights(undisturbed))


def test_what_a_gpu_draws_goes_on_where_it_stood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn, load = torch.tensor([7], dtype=torch.uint8), torch.load
    restored: list[torch.Tensor] = []
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: drawn)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: restored.append(state))
    monkeypatch.setattr(torch, "load", lambda path, **options: load(path, weights_only=False))
    one = trainer(tmp_path, TinyModel())
    one.device = torch.device("cuda")
    one.save()
    one._restore()
    assert restored == [drawn]


def test_a_torn_checkpoint_does_not_replace_the_last_one(tmp_path: Path) -> None:
    trainer(tmp_path, TinyModel()).run()
    (tmp_path / CHECKPOINT_NAME).with_suffix(".partial").write_bytes(b"torn")
    assert trainer(tmp_path, TinyModel()).is_finished


def test_a_broken_checkpoint_is_one_line(tmp_path: Path) -> None:
    trainer(tmp_path, TinyModel()).run()
    path = tmp_path / CHECKPOINT_NAME
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=r"checkpoint.pt is broken .*delete it") as caught:
        trainer(tmp_path, TinyModel())
    assert "\n" not in str(caught.value)


def test_a_full_disk_keeps_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = trainer(tmp_path, TinyModel())
    one.run()
    before = (tmp_path / CHECKPOINT_NAME).read_bytes()

    def full(state: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise RuntimeError("[enforce fail at inline_container.cc] file write failed\nmore")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(DataError, match=r"cannot write .*free some space") as caught:
        one.save()
    assert "\n" not in str(caught.value)
    assert (tmp_path / CHECKPOINT_NAME).read_bytes() == before
    assert not (tmp_path / CHECKPOINT_NAME).with_suffix(".partial").exists()


def test_snapshots_come_once_each(tmp_path: Path) -> None:
    seen: list[int] = []
    trainer(tmp_path, TinyModel(), snapshot_tokens=(1000, 2000)).run(on_snapshot=seen.append)
    assert seen == [1000, 2000]


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    losses: list[float] = []
    trainer(tmp_path, TinyModel(), total_tokens=20_000).run(
        progress=lambda tokens, total, loss: losses.append(loss)
    )
    assert np.mean(losses[-5:]) < np.mean(losses[:5])


def test_the_rate_warms_up_stays_and_decays() -> None:
    settings = TrainSettings(total_tokens=1000, warmup_tokens=100, decay_fraction=0.3)
    assert settings.rate_factor(0) == pytest.approx(0.01)
    assert settings.rate_factor(100) == settings.rate_factor(699) == 1.0
    assert settings.rate_factor(850) == pytest.approx(0.5)
    assert settings.rate_factor(1000) == 0.0


def test_every_example_is_in_one_batch_and_batches_fit() -> None:
    lengths = tiny_examples(500).lengths
    batches = plan_batches(lengths, batch_tokens=256, seed=3)
    assert sorted(np.concatenate(batches).tolist()) == list(range(500))
    assert all(bucket_width(int(lengths[batch].max())) * len(batch) <= 256 for batch in batches)
    again = plan_batches(lengths, batch_tokens=256, seed=3)
    assert all((one == other).all() for one, other in zip(batches, again))


def test_batches_of_one_width_have_one_shape() -> None:
    examples = tiny_examples(500)
    shapes: dict[int, set[int]] = {}
    for batch in plan_batches(examples.lengths, batch_tokens=256, seed=0):
        ids, targets = examples.padded(batch, pad_id=2, batch_tokens=256)
        assert ids.shape == targets.shape
        shapes.setdefault(ids.shape[1], set()).add(ids.shape[0])
    assert all(len(heights) == 1 for heights in shapes.values())


def test_examples_survive_the_disk(tmp_path: Path) -> None:
    examples = tiny_examples()
    examples.save(tmp_path / "data.npz")
    loaded = TokenExamples.load(tmp_path / "data.npz")
    assert (loaded.ids == examples.ids).all()
    assert (loaded.starts == examples.starts).all()


def test_a_training_that_diverges_stops_and_keeps_what_was_good(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"(loss|gradient's norm) is (nan|inf) at step \d+; the"):
        trainer(tmp_path, TinyModel(), adamw_rate=1e30, checkpoint_s=0.0).run()
    kept = torch.load(tmp_path / CHECKPOINT_NAME, weights_only=False)["model"]
    assert all(weight.isfinite().all() for weight in kept.values())


def test_weights_that_are_no_numbers_are_not_saved(tmp_path: Path) -> None:
    good = trainer(tmp_path, TinyModel())
    good.save()
    before = (tmp_path / CHECKPOINT_NAME).read_bytes()
    with torch.no_grad():
        next(good.model.parameters())[0, 0] = torch.inf
    with pytest.raises(DataError, match=r"embed.weight holds NaN or infinite numbers at step 0"):
        good.save()
    assert (tmp_path / CHECKPOINT_NAME).read_bytes() == before


def test_packed_rows_have_the_losses_of_single_examples() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 14, 40).tolist()
    single = TokenExamples.from_rows(
        ([0, *range(2, 1 + length)], [IGNORED, *range(2, 1 + length)]) for length in lengths
    )
    packed = single.packed(32)
    assert len(packed) < len(single) / 2
    assert sorted(packed.ids.tolist()) == sorted(single.ids.tolist())
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=20,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
    )
    model = LlamaForCausalLM._from_config(config, attn_implementation="eager").eval()

    def total(examples: TokenExamples, first_id: int | None) -> float:
        loss, found = lm_loss(model, first_id=first_id), 0.0
        for number in range(len(examples)):
            ids, targets = (torch.tensor([row]) for row in examples.row(number))
            num_learned = int((targets[:, 1:] != IGNORED).sum())
            found += loss(ids, targets).item() * num_learned
        return found

    assert total(packed, 0) == pytest.approx(total(single, None), rel=1e-4)
    assert total(packed, None) != pytest.approx(total(single, None), rel=1e-4)
