"""What a reward model's training buys a search: head, base, number of labels, step boundaries.

    python benchmarks/ablations.py --out runs/results/ablations [--problems 200 --seeds 3]

Reward models are trained on solutions of the shipped arithmetic policy whose steps its task's exact
checker labelled (`ablation_data.py`), all with the same recipe. One thing at a time is changed:

- head: three classes, a value (regression on P(right), neutral steps right), or the outcome of the
  whole solution at its last step (ORM);
- base: the finished language model, of which the policy is an early snapshot (taken out of the
  shipped reward model), the policy itself, the policy of another task, or random weights;
- labels: from 1,000 to 100,000;
- boundaries: where a rating is read: after each line, after each line and a blank one, or after
  every second line.

Each is measured on solutions of dev problems as `stepnav eval-prm` does, chooses the best of four
of them, and steers HGS and nav on other dev problems (not where two lines are a step: the policy
writes a line at a time). Each training and each comparison is resumable; what is done is in
`ablations.json`, `report.md` and `ablations.png`, made again after each model.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ablation_data import (
    TASK,
    Solution,
    calculations,
    held_out_solutions,
    training_solutions,
    write_training,
)
from ablation_measure import choose, command, evaluate
from ablation_report import offline, rows_of, searches
from ablation_tables import write_report

import stepnav
from stepnav import build
from stepnav.core.compute import prepare
from stepnav.files.atomic import write_text
from stepnav.zoo.arithmetic import DOMAIN
from stepnav.zoo.shipped import keep_shipped

ROOT = Path(__file__).resolve().parents[1]
SEARCHES = ("hgs", "nav")
BUDGETS = (250, 1000)
RATE, BATCH = 1e-3, 4
"""Of all trainings."""
NEUTRAL = {"three": "own", "value": "positive"}
"""A value of 0.5 would be on the edge of being rejected."""
SEPARATORS = {"line": "\\n", "blank line": "\\n\\n", "two lines": "\\n"}


@dataclass(frozen=True)
class Cell:
    """One reward model: what it is trained on and how.

    Attributes:
      head: three, value or orm.
      base: policy, finished, other or raw; "shipped" is the shipped reward model, which is not
        trained here.
      labels: so many of steps (of an ORM: as many solutions as hold them).
      boundary: a key of `SEPARATORS`.
      seed: of the solutions, the new weights and their order.
    """

    head: str = "three"
    base: str = "finished"
    labels: int = 10_000
    boundary: str = "line"
    seed: int = 0

    @property
    def name(self) -> str:
        """Name of its folder."""
        parts = (self.head, self.base, self.labels, self.boundary, self.seed)
        return "-".join(str(part).replace(" ", "-") for part in parts)


def planned(seeds: int, most_labels: int) -> list[Cell]:
    """Return all cells, those first that say most, each seed once through them all."""
    usual = Cell()
    rest = [
        usual,
        *(replace(usual, head=head) for head in ("orm", "value")),
        replace(usual, base="policy"),
        *(replace(usual, labels=size) for size in (1000, 30_000)),
        *(replace(usual, base=base) for base in ("raw", "other")),
        replace(usual, labels=3000),
        *(replace(usual, boundary=boundary) for boundary in ("two lines", "blank line")),
    ]
    cells = []
    for seed in range(seeds):
        cells += [replace(cell, seed=seed) for cell in rest if cell.labels <= most_labels]
        if seed == 0:
            cells.insert(1, Cell(base="shipped", labels=0))
        if seed == 0 and most_labels >= 100_000:
            cells.append(replace(usual, labels=100_000))
    return cells


def base_model(cell: Cell, out: Path) -> Path:
    """Return the folder of the model that a training begins with."""
    own = build.policy_folder(TASK)
    other = build.policy_folder("plain")
    assert own is not None and other is not None, "the policies ship"
    if cell.base in ("policy", "other"):
        return own if cell.base == "policy" else other
    if cell.base == "finished":
        keep_shipped(out / "bases", DOMAIN)
        return out / "bases" / "work" / "lm" / "final"
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    folder = out / "bases" / f"raw-{cell.seed}"
    if not (folder / "config.json").exists():
        torch.manual_seed(cell.seed)
        AutoTokenizer.from_pretrained(own).save_pretrained(folder)
        AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(own)).save_pretrained(folder)
    return folder


def train(cell: Cell, folder: Path, args: Any) -> dict[str, Any]:
    """Train a cell's model into `folder`, unless it is there; return what it took."""
    done = folder.parent / "training.json"
    if done.exists():
        return dict(json.loads(done.read_text()))
    solutions = training_solutions(args.out / "data", cell.labels)
    data = args.out / "data" / f"{cell.name}.jsonl"
    counts = write_training(data, solutions, cell.labels, cell.seed, cell.head, cell.boundary)
    steps = math.ceil(counts["problems"] / BATCH)
    epochs = math.ceil(args.least_steps / steps)  # few labels are gone through more often
    stage = (
        ["orm"]
        if cell.head == "orm"
        else ["prm", "--head", cell.head, "--neutral", NEUTRAL[cell.head]]
    )
    began = time.monotonic()
    command(
        "train", *stage, "--model", base_model(cell, args.out), "--data", data, "--out", folder,
        "--labels", "correct" if cell.head == "orm" else "rating", "--epochs", str(epochs),
        "--learning-rate", str(RATE), "--batch-size", str(BATCH), "--seed", str(cell.seed),
        "--separator", SEPARATORS[cell.boundary], "--device", "cpu", "--save-every", "0",
        "--resume",
    )  # fmt: skip
    data.unlink()
    found = {**counts, "epochs": epochs, "seconds": round(time.monotonic() - began)}
    write_text(done, json.dumps(found) + "\n")
    return found


def bench(strategy: str, reward: str, folder: Path, args: Any) -> list[dict[str, Any]]:
    """Return one row for each dev problem and budget."""
    found = stepnav.bench(
        TASK, [strategy], policy=str(build.policy_folder(TASK)), reward=reward, budgets=BUDGETS,
        count=args.problems, split="dev", out=folder, max_active=192,
    )  # fmt: skip
    return [
        {
            "strategy": row.strategy,
            "budget": row.budget,
            "problem": row.problem_id,
            "calculations": calculations(row.problem_id),
            "right": float(row.correct is True),
            "tokens": row.policy_tokens,
        }
        for row in found.rows
    ]


def search(
    reward: Path, folder: Path, cot: list[dict[str, Any]], args: Any
) -> list[dict[str, Any]]:
    """Return the searches' rows, each with what chain of thought came to (`before`)."""
    before = {(row["problem"], row["budget"]): row["right"] for row in cot}
    rows = [row for name in SEARCHES for row in bench(name, str(reward), folder / name, args)]
    return [{**row, "before": before[row["problem"], row["budget"]]} for row in rows]


def run_cell(
    cell: Cell, held_out: list[Solution], cot: list[dict[str, Any]], args: Any
) -> dict[str, Any]:
    """Return a model's training, its figures and its rows, made now or read back."""
    folder = args.out / cell.name
    done = folder.with_suffix(".json")
    if done.exists():
        return dict(json.loads(done.read_text()))
    shipped = build.reward_folder(TASK) if cell.base == "shipped" else None
    training = train(cell, folder / "model", args) if shipped is None else {}
    reward = shipped or folder / "model"
    by = "last" if cell.head == "orm" else "prod"  # each as it was trained
    scores, measured = evaluate(cell.boundary, reward, folder, held_out)
    searched = [] if cell.boundary == "two lines" else search(reward, folder / "search", cot, args)
    found = {
        **asdict(cell),
        "training": training,
        "offline": measured,
        "rows": [*choose(by, scores, held_out), *searched],
    }
    write_text(done, json.dumps(found) + "\n")
    return found


def say(found: dict[str, Any]) -> None:
    """Tell what a model came to in one line."""
    parts = []
    for strategy, budget in searches([found]):
        rows = rows_of(found, strategy, budget)
        right = sum(row["right"] for row in rows) / len(rows)
        parts.append(f"{strategy} {budget} {100 * right:.1f}%")
    auroc = offline(found)["auroc"]
    words = [str(found[name]) for name in ("head", "base", "labels", "boundary", "seed")]
    print(
        f"{', '.join(words)}: AUROC {auroc}, {', '.join(parts)}; {found['training']}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--problems", type=int, default=200, help="dev problems that are searched")
    parser.add_argument("--held-out", type=int, default=250, help="dev problems with solutions")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--labels", type=int, default=100_000, help="most of them")
    parser.add_argument("--least-steps", type=int, default=500, help="of each training")
    parser.add_argument("--done", action="store_true", help="only report what is done")
    parser.add_argument("--publish", action="store_true", help="copy to docs/results/ablations")
    args = parser.parse_args()
    prepare()  # before torch is loaded
    args.out.mkdir(parents=True, exist_ok=True)
    held_out = held_out_solutions(args.out / "data", args.held_out)
    cot = bench("cot", TASK, args.out / "cot", args)
    cells: list[dict[str, Any]] = []
    text = ""
    for cell in planned(args.seeds, args.labels):
        if args.done and not (args.out / f"{cell.name}.json").exists():
            continue
        cells.append(run_cell(cell, held_out, cot, args))
        say(cells[-1])
        text = write_report(args.out, cells, args)
    print(text)
    if args.publish:
        place = ROOT / "docs" / "results" / "ablations"
        place.mkdir(parents=True, exist_ok=True)
        for name in ("ablations.json", "report.md", "ablations.png"):
            shutil.copyfile(args.out / name, place / name)


if __name__ == "__main__":
    main()
