"""Files of another version are refused in one line; those from before there was one are read."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest

from stepnav.core.errors import StepnavError
from stepnav.files.claim import SEAL, check_claim, claim_folder, sealed, unsealed
from stepnav.files.versioned import FORMAT, KEY
from stepnav.measure.plan_file import FILE_NAME, read_plan, write_plan
from stepnav.mutate.journal import Journal as MutateJournal
from stepnav.mutate.journal import read_journal
from stepnav.policies.local.known import Known
from stepnav.policies.local.prompt import PolicyFormat
from stepnav.rewards.families.label_tokens import LabelTokens
from stepnav.rewards.local.step_format import StepFormat
from stepnav.rewards.measured import read_measured, write_measured
from stepnav.run.journal import Journal
from tests.measure.rows_for_tests import PLAN

SETTINGS = {"seed": 1, "model": "arithmetic"}
CLAIM = "run.json"


def claim(folder: Path) -> bool:
    return check_claim(folder / CLAIM, SETTINGS, noun="training", resume=True)


BESIDE_WEIGHTS: dict[str, tuple[Callable[[Path], Any], Callable[[Path], Any]]] = {
    "stepnav_prm.json": (StepFormat(separator="<s>").save, StepFormat.load),
    "stepnav_policy.json": (PolicyFormat(separator="\n\n").save, PolicyFormat.load),
    "stepnav_label_tokens.json": (LabelTokens(good="Yes", bad="No").save, LabelTokens.load),
    "stepnav_known.json": (Known(-1.0, -2.0).save, Known.load),
    "stepnav_strategies.json": (
        lambda folder: write_measured(folder, "nav", {"options": {"slope": 1.0}}),
        read_measured,
    ),
    CLAIM: (
        lambda folder: claim_folder(folder / CLAIM, SETTINGS, noun="training", resume=False),
        claim,
    ),
}
"""File -> what writes it in a folder, and what reads it there."""


def change(place: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    found = json.loads(place.read_text())
    edit(found)
    place.write_text(json.dumps(found) + "\n")


@pytest.mark.parametrize("name", BESIDE_WEIGHTS)
def test_a_later_version_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    write, read = BESIDE_WEIGHTS[name]
    write(tmp_path)
    assert json.loads((tmp_path / name).read_text())[KEY] == FORMAT
    read(tmp_path)
    change(tmp_path / name, lambda found: found.update({KEY: FORMAT + 1}))
    with pytest.raises(
        StepnavError, match=f"{name} is in format 2, .* reads format 1; use the"
    ) as e:
        read(tmp_path)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("name", BESIDE_WEIGHTS)
def test_what_was_written_before_there_were_versions_is_read(name: str, tmp_path: Path) -> None:
    write, read = BESIDE_WEIGHTS[name]
    write(tmp_path)
    now = read(tmp_path)

    def as_before(found: dict[str, Any]) -> None:
        del found[KEY]
        if SEAL in found:
            found[SEAL] = before_versions(SETTINGS)

    change(tmp_path / name, as_before)
    assert read(tmp_path) == now


def before_versions(settings: dict[str, Any]) -> str:
    """Return the digest that was written when settings had no version."""
    return blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=8).hexdigest()


def test_a_version_that_was_edited_is_noticed() -> None:
    found = sealed(SETTINGS)
    del found[KEY]
    with pytest.raises(StepnavError, match="were edited"):
        unsealed(found, Path("run.json"))


def test_a_campaign_of_a_later_version_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "journal.jsonl"
    with MutateJournal(place, {"seed": 1}):
        pass
    assert read_journal(place)[0]["seed"] == 1
    change(place, lambda found: found.update({KEY: 2}))
    with pytest.raises(StepnavError, match="is in format 2"):
        read_journal(place)
    with pytest.raises(StepnavError, match="is in format 2"):
        MutateJournal(place, {"seed": 1})


def test_a_plan_of_a_later_version_is_refused(tmp_path: Path) -> None:
    write_plan(PLAN, tmp_path)
    place = tmp_path / FILE_NAME
    place.write_text(place.read_text().replace("format = 1", "format = 2"))
    with pytest.raises(StepnavError, match="another version of stepnav wrote it"):
        read_plan(tmp_path)


@pytest.mark.parametrize("is_read_only", [False, True])
def test_a_journal_of_a_later_version_is_refused(tmp_path: Path, is_read_only: bool) -> None:
    place = tmp_path / "journal.sqlite"
    Journal(place).close()
    with sqlite3.connect(place) as db:
        db.execute("UPDATE meta SET value = '2' WHERE key = 'schema'")
    db.close()
    with pytest.raises(StepnavError, match="by another version of stepnav"):
        Journal(place, is_read_only=is_read_only)
