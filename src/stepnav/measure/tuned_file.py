"""The file of tuned settings: what `stepnav tune` found, for which task and models."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from stepnav.core.errors import ConfigError, DataError
from stepnav.files.atomic import write_text
from stepnav.measure.plan import TUNED_ON
from stepnav.measure.tuning import Best

FILE_NAME = "tuned.json"
FORMAT = 1
"""Version of the file; a newer one is refused."""

MADE_FOR = ("task", "policy", "policy_digest", "reward", "reward_digest")
"""What says whose settings these are. A model is its files, where there are any, else its name."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """Settings by strategy and budget, and where they come from.

    Attributes:
      origin: task, split, seed, rungs, models with the digests of their files (None on servers),
        and the searches, tokens and seconds that it took.
      best: the winners.
    """

    origin: Mapping[str, Any]
    best: tuple[Best, ...] = field(default=())

    @property
    def strategies(self) -> list[str]:
        """The strategies, in the order of the file."""
        return list(dict.fromkeys(entry.strategy for entry in self.best))

    @property
    def budgets(self) -> list[int]:
        """The budgets, in the order of the file."""
        return list(dict.fromkeys(entry.budget for entry in self.best))

    def setting(self, strategy: str, budget: int) -> str:
        """Return the best settings of a strategy under a budget.

        Raises:
          ConfigError: the file has none.
        """
        known = [entry for entry in self.best if entry.strategy == strategy]
        for entry in known:
            if entry.budget == budget:
                return entry.setting
        budgets = ", ".join(str(entry.budget) for entry in known)
        raise ConfigError(
            f"there are tuned settings of {strategy} for the budgets {budgets} "
            f"(got {budget}); run stepnav tune with this budget too"
        )


def write_tuned(path: Path, tuned: Tuned) -> None:
    """Write the file whole."""
    write_text(path, json.dumps(tuned_object(tuned), indent=1) + "\n")


def tuned_object(tuned: Tuned) -> dict[str, Any]:
    """Return the settings as plain JSON values."""
    return {"format": FORMAT, **tuned.origin, "best": [asdict(entry) for entry in tuned.best]}


def read_tuned(path: Path) -> Tuned:
    """Return the settings in a file.

    Raises:
      DataError: it cannot be read, or it is no such file.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content.pop("format")
        best = tuple(Best(**entry) for entry in content.pop("best"))
        origin = {**content, **{name: content[name] for name in MADE_FOR}}
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise DataError(f"{path} holds no tuned settings; stepnav tune makes such a file") from None
    if version != FORMAT or not best:
        raise DataError(f"{path} is of another version of stepnav; make it again: stepnav tune")
    return Tuned(origin, best)


def check_tuned(tuned: Tuned, now: Mapping[str, Any], file: str) -> None:
    """Refuse settings that were tuned for another task or for other models.

    Args:
      tuned: the settings.
      now: the task and the models of a run, under the names in `MADE_FOR`. A reward model that is
        None is not compared, as none of the strategies asks it.
      file: where the settings stand, for the message.
    Raises:
      ConfigError: they are for others.
    """
    for name in ("task", "policy", "reward"):
        if name == "reward" and now["reward"] is None:
            continue
        digest = f"{name}_digest"
        made, asked = (values.get(digest) or values[name] for values in (tuned.origin, now))
        if made != asked:
            raise ConfigError(
                f"{file} was tuned for {name} {_text(tuned.origin, name)}, this is "
                f"{name} {_text(now, name)}; run stepnav tune for this one"
            )


def tuned_on_note(settings: Mapping[str, Any]) -> str | None:
    """Return what is to be known of a run on the split that its options were tuned on, else None.

    Args:
      settings: the run's.
    """
    if TUNED_ON not in settings:
        return None
    return (
        f"The options were tuned on this split ({settings[TUNED_ON]}): they may look better here "
        "than they are."
    )


def _text(values: Mapping[str, Any], name: str) -> str:
    """Return a task or a model in words."""
    digest = values.get(f"{name}_digest")
    return f"{values[name]}" if digest is None else f"{values[name]} ({digest[:8]})"
