from __future__ import annotations

from pathlib import Path

import pytest

from stepnav.core.errors import ConfigError, DataError
from stepnav.mutate.journal import Journal, read_journal
from tests.mutate.test_balance import report

CAMPAIGN = {"task": "t", "seed": 0, "shard": [1, 1]}


def test_outcomes_come_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "j.jsonl"
    with Journal(path, CAMPAIGN) as journal:
        journal.add(report())
    with Journal(path, CAMPAIGN) as journal:
        assert journal.reports == [report()]
        journal.add(report("validation"))
    header, reports = read_journal(path)
    assert header["task"] == "t"
    assert reports == [report(), report("validation")]


@pytest.mark.parametrize("cut", [1, 20, 200])
def test_a_last_line_that_was_cut_short_is_taken_off(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "j.jsonl"
    with Journal(path, CAMPAIGN) as journal:
        journal.add(report())
        journal.add(report("validation"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    assert read_journal(path)[1] == [report()]
    with Journal(path, CAMPAIGN) as journal:
        assert journal.reports == [report()]
        journal.add(report("validation"))
    assert path.read_bytes() == whole


def test_a_journal_cut_in_its_first_line_is_begun_again(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    path.write_bytes(b'{"format"')
    with Journal(path, CAMPAIGN) as journal:
        assert journal.reports == []
    assert read_journal(path) == ({"format": 1, **CAMPAIGN}, [])


def test_another_campaign_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    Journal(path, CAMPAIGN).__exit__()
    with pytest.raises(DataError, match=r"other settings \(seed: 0, now 1\)"):
        Journal(path, {**CAMPAIGN, "seed": 1})


def test_a_journal_in_use_is_refused_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    with Journal(path, CAMPAIGN) as journal:
        journal.add(report())
        content = path.read_bytes()
        with pytest.raises(ConfigError, match=f"another process is at work on {path}"):
            Journal(path, CAMPAIGN)
        with pytest.raises(ConfigError, match="at work"):
            Journal(path, {**CAMPAIGN, "seed": 1})
        assert path.read_bytes() == content
    with Journal(path, CAMPAIGN) as journal:
        assert journal.reports == [report()]


@pytest.mark.parametrize("content", ["hello\n", '{"a": 1}\n', '{"format": 1}\n{"b": 2}\n'])
def test_a_file_that_is_no_journal(tmp_path: Path, content: str) -> None:
    path = tmp_path / "j.jsonl"
    path.write_text(content)
    with pytest.raises(DataError, match="not a line of a campaign's journal"):
        read_journal(path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        read_journal(tmp_path / "none.jsonl")


def test_a_campaign_that_was_edited_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    Journal(path, CAMPAIGN).__exit__()
    path.write_text(path.read_text().replace('"task": "t"', '"task": "mbpp"'))
    with pytest.raises(DataError, match="were edited after the run"):
        read_journal(path)
    with pytest.raises(DataError, match="were edited after the run"):
        Journal(path, {**CAMPAIGN, "task": "mbpp"})
