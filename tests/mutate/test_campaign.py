from __future__ import annotations

import json
from pathlib import Path

import pytest

from stepnav.core.errors import ConfigError, DataError, JournalError
from stepnav.core.shard import Shard
from stepnav.files.claim import sealed, unsealed
from stepnav.labels.stepwise import read_records
from stepnav.mutate.campaign import find_journals, merge, run_campaign
from stepnav.mutate.examination import Settings
from stepnav.mutate.findings import ProblemReport
from stepnav.mutate.reference import Reference

SETTINGS = Settings(seed=1, decoys=2, second_order=1, repairs=1)


def reference(number: int, test: str | None = None) -> Reference:
    source = f"def f(x):\n    y = x + {number + 2}\n    return y\n"
    tests = "\n".join(f"assert f({x}) == {x + number + 2}" for x in (1, 40))
    split = "validation" if number == 0 else "train"
    return Reference(f"p{number}", "Add.\n", source, test or tests, "f", "mbpp", split=split)


REFERENCES = [reference(number) for number in range(3)] + [reference(3, "assert f(1) == 0")]


def make(out: Path, shard: tuple[int, int] = (1, 1), **options: object) -> list[ProblemReport]:
    return run_campaign(
        REFERENCES,
        out,
        SETTINGS,
        task="sums",
        source="made up.",
        held_out=["return_value"],
        shard=Shard(*shard),
        **options,  # type: ignore[arg-type]
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if not p.name.startswith("shard")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    make(out)
    merge(find_journals([out]), out)
    return out


def test_files(whole: Path) -> None:
    assert set(contents(whole)) == {
        "train.jsonl",
        "validation.jsonl",
        "held_out.jsonl",
        "mutants.parquet",
        "README.md",
    }
    rows = [json.loads(line) for line in (whole / "train.jsonl").read_text().splitlines()]
    assert {row["task_id"] for row in rows} == {"p1", "p2"}
    assert {row["level"] for row in rows} == {"process"}
    assert "return_value" not in {row["operator"] for row in rows}
    held = [json.loads(line) for line in (whole / "held_out.jsonl").read_text().splitlines()]
    assert {(row["task_id"], row["operator"]) for row in held} == {("p0", "return_value")}
    assert {label for row in rows for label in row["labels"]} == {1, 0, -1, None} - (
        set() if any(0 in row["labels"] for row in rows) else {0}
    )


def test_the_trainer_reads_them(whole: Path) -> None:
    records = list(read_records(whole / "train.jsonl"))
    assert records
    assert any(-1 in record.labels for record in records)


def test_the_table_holds_every_record(whole: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(whole / "mutants.parquet")
    lines = [
        json.loads(line)
        for name in ("train", "validation", "held_out")
        for line in (whole / f"{name}.jsonl").read_text().splitlines()
    ]
    rows = table.to_pylist()
    assert [row for row in rows if row["split"] != "set_aside"] == lines
    assert {row["operator"] for row in rows if row["split"] == "set_aside"} == {"return_value"}


def test_the_card_tells_what_was_left_out(whole: Path) -> None:
    card = (whole / "README.md").read_text()
    assert "3 of 4 reference programs" in card
    assert "- p3: the reference fails its own test" in card
    assert "held_out return_value" in card


def test_shards_merge_to_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    shards, out = tmp_path / "shards", tmp_path / "out"
    make(shards, (2, 2))
    with pytest.raises(JournalError, match="missing: 1/2"):
        merge(find_journals([shards]), out)
    make(shards, (1, 2), workers=2)
    merge(find_journals([shards]), out)
    assert contents(out) == contents(whole)


def test_a_campaign_that_was_cut_off_goes_on_to_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    journal = (whole / "shard-1-of-1.jsonl").read_bytes()
    lines = journal.splitlines(keepends=True)
    (tmp_path / "shard-1-of-1.jsonl").write_bytes(b"".join(lines[:2]) + lines[2][:50])
    with pytest.raises(JournalError, match="1 of 4 problems are done"):
        merge(find_journals([tmp_path]), tmp_path)
    seen: list[tuple[int, int]] = []
    make(tmp_path, progress=lambda done, total, _: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    merge(find_journals([tmp_path]), tmp_path)
    assert contents(tmp_path) == contents(whole)


@pytest.mark.parametrize("shard", [(0, 2), (3, 2)])
def test_a_shard_that_there_is_none_of(tmp_path: Path, shard: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match="1 <= i <= n"):
        make(tmp_path, shard)


def test_an_operator_that_there_is_none_of(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'slice'"):
        run_campaign(REFERENCES, tmp_path, SETTINGS, task="", source="", held_out=["slices"])


def test_journals_of_different_campaigns_do_not_merge(whole: Path, tmp_path: Path) -> None:
    other = tmp_path / "shard-1-of-1.jsonl"
    header, *rest = (whole / other.name).read_text().splitlines(keepends=True)
    campaign = {**unsealed(json.loads(header), other), "seed": 2}
    other.write_text("".join([json.dumps(sealed(campaign)) + "\n", *rest]))
    with pytest.raises(JournalError, match="different campaigns"):
        merge([whole / other.name, other], tmp_path)
    with pytest.raises(JournalError, match="each is needed once"):
        merge([other, other], tmp_path)
    with pytest.raises(DataError, match="no journal at"):
        find_journals([tmp_path / "nowhere"])
