"""The card of a trained model: what the hub and a reader want to know of the folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from stepnav.files.front_matter import front_matter

CARD = "README.md"


def model_card(
    *, base: str, is_policy: bool, figures: Mapping[str, object], last_loss: float | None
) -> str:
    """Return the card's text; it holds no times, so that a resumed training gives the same.

    Args:
      base: what the training began with; named only if it is a name on the hub.
      is_policy: whether it proposes steps; else it rates them.
      figures: name -> count of what it was trained on.
      last_loss: at the last optimizer step; None if there was none.
    """
    on_hub = re.fullmatch(r"[\w.-]+/[\w.-]+", base) is not None and not Path(base).exists()
    head = front_matter(
        {
            "library_name": "transformers",
            "pipeline_tag": "text-generation" if is_policy else None,
            "base_model": base if on_hub else None,
            "tags": ["stepnav", "policy" if is_policy else "reward-model"],
        }
    )
    option, role = (
        ("--policy", "proposes the steps of solutions")
        if is_policy
        else ("--reward", "rates the steps of solutions")
    )
    rows = "".join(f"| {name} | {value} |\n" for name, value in figures.items())
    return (
        f"{head}\n# A model that {role}\n\nTrained with stepnav"
        f"{f' from [{base}](https://huggingface.co/{base})' if on_hub else ''}; its folder holds "
        "how it is prompted, and `training_report.json` every loss.\n\n"
        f"    stepnav solve {option} FOLDER\n\n| | |\n| :-- | --: |\n{rows}"
        f"{'' if last_loss is None else f'| loss at the last step | {last_loss:.4g} |'}\n\n"
        "Not measured here: how good it is (`stepnav bench`, `stepnav eval-prm`). Licence and "
        "limits of the data and of what it began with hold for it too.\n"
    )
