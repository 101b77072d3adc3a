"""The report of a reward model's evaluation: `report.json`, `report.md`, one plot.

All of it is made from the scores, and can be thrown away and made again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stepnav.files.atomic import escaped, write_bytes, write_text
from stepnav.measure.prm import best_of_n as reward_best_of_n
from stepnav.measure.prm import prmbench as reward_prmbench
from stepnav.measure.prm import processbench as reward_processbench
from stepnav.measure.prm import ratings as reward_ratings
from stepnav.measure.prm.case import Cases
from stepnav.measure.prm.plots import PLOTS, plot
from stepnav.measure.prm.scores import Scores
from stepnav.measure.prm.tables import markdown_page


def make_report(
    cases: Cases,
    scores: Mapping[int, Scores],
    failed: Mapping[int, str],
    *,
    settings: Mapping[str, Any],
    threshold: float | None = None,
    dev_share: float = reward_processbench.DEV_SHARE,
    seed: int = 0,
) -> dict[str, Any]:
    """Return the report as plain JSON values; what is not known is None.

    Args:
      cases: what was scored.
      scores: number of the solution -> its scores.
      failed: number of the solution -> why it could not be scored; left out of all figures.
      settings: what was scored by what.
      threshold, dev_share, seed: as in `processbench.report` and `prmbench.report`.
    """
    scored = [(cases.items[number], scores[number]) for number in sorted(scores)]
    if cases.kind == "processbench":
        figures = reward_processbench.report(
            scored, threshold=threshold, dev_share=dev_share, seed=seed
        )
    elif cases.kind == "prmbench":
        figures = reward_prmbench.report(scored, threshold=threshold)
    elif cases.kind == "prm800k":
        steps = reward_ratings.rated_steps(scored, cases.label_kind or "rating")
        figures = reward_ratings.report(steps)
    else:
        figures = reward_best_of_n.report(scored)
    return {
        **settings,
        "label_kind": cases.label_kind,
        "problems": cases.num_problems,
        "solutions": len(cases.items),
        "scored": len(scored),
        "left_out": list(cases.left_out),
        "unscored": [
            {"id": cases.items[number].id, "reason": reason}
            for number, reason in sorted(failed.items())
        ],
        "figures": figures,
    }


def write_report(folder: Path, report: Mapping[str, Any]) -> list[str]:
    """Write every file of the report into a folder; return their names.

    Raises:
      DataError: a file cannot be written.
    """
    name = f"{PLOTS[report['kind']]}.png"
    title = escaped(f"{report['reward'] or 'scores of the file'} on {report['data']}")
    write_text(folder / "report.json", json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    write_bytes(folder / name, plot(report["kind"], report["figures"], title=title))
    write_text(folder / "report.md", markdown_page(report, title=title, plot=name))
    return ["report.json", "report.md", name]
