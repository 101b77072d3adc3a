"""Turns run folders into docs/results.md and the table in the README.

    python benchmarks/publish.py runs/results

A section whose run is not there stays as it was. No figure in these documents is typed by hand:
each comes from the `report.json` of a run folder that `make results` makes again (`reward_models`:
the eval folder of `recipes/smollm2_prm.sh`), or from the `evaluation.json` of a shipped model.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from ablation_tables import main_table, rank_text
from results import PAPER, REAL_RUNS, RUNS, TUNED

from stepnav.files.claim import unsealed
from stepnav.measure.plan_file import plan_digest, read_plan
from stepnav.measure.prm.scores import FILE_NAME as SCORES
from stepnav.measure.run_folder import open_run
from stepnav.measure.tuned_file import read_tuned
from stepnav.zoo import MODELS_FOLDER

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs" / "results"
SECTIONS = {**RUNS, **REAL_RUNS}
"""Runs that the results have a section of."""
README_RUNS = {"headline": "arithmetic", "code": "micro-python"}
"""Tables of the README, and the runs that they are of."""
README_BUDGET = 1000
README_NAMES = {
    "cot": "chain of thought (greedy)",
    "hgs": "**HGS**",
    "nav": "**nav**",
    "hgs:published:temperature=1.0": "HGS as published, T 1",
    **{label: f"HGS as published, T {label[-3:]}" for label in PAPER.values()},
}


def whole_rows(report: dict[str, Any]) -> dict[str, Any]:
    """Return the report without the rows of strategies that have not run on all problems."""
    rows = [r for r in report["rows"] if r["total"] == report["problems"] * report["seeds"]]
    return {**report, "rows": rows}


def percent(value: float) -> str:
    return f"{100 * value:.1f}%"


def p_text(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.1e}" if value < 1e-3 else f"{value:.3f}"


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "| :-- |" + " --: |" * (len(header) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def headline_table(report: dict[str, Any]) -> str:
    """Return the strategies under one budget, the best first."""
    rows = [
        [
            README_NAMES.get(row["label"], row["label"].replace("_", " ")),
            f"{percent(row['accuracy'])} ({percent(row['ci95'][0])} to {percent(row['ci95'][1])})",
            f"{row['policy_tokens_per_problem']:.0f}",
            f"{row['reward_tokens_per_problem']:.0f}",
            p_text(row["p_holm"]),
        ]
        for row in sorted(report["rows"], key=lambda row: -row["accuracy"])
        if row["budget"] == README_BUDGET
    ]
    against = next(row["baseline"]["label"] for row in report["rows"] if row["baseline"])
    header = ["strategy", "right (95% interval)", "policy tokens", "reward tokens"]
    options = "options tuned on the dev split" if report["is_tuned"] else "default options"
    intro = (
        f"{report['problems']} problems of the {report['task']} {report['split']} split, shipped "
        f"models, at most {README_BUDGET:,} policy tokens, "
        f"{options}; p from McNemar's exact test against {against}, corrected by Holm for all rows "
        "of the report:\n\n"
    )
    return intro + table([*header, "p"], rows)


def replace_block(path: Path, name: str, text: str) -> None:
    """Put the text between the document's markers of that name."""
    document = path.read_text()
    start = document.index(f"<!-- results: {name} -->") + len(f"<!-- results: {name} -->")
    end = document.index("<!-- end -->", start)
    path.write_text(f"{document[:start]}\n{text}\n{document[end:]}")


def read_report(folder: Path) -> dict[str, Any]:
    """Return a run's report, and whether its options were tuned (`is_tuned`).

    Report, plan and journal are checked to be of the same run.
    """
    plan, journal = open_run(folder)
    journal.close()
    report: dict[str, Any] = json.loads((folder / "report.json").read_text())
    if report.get("config") != plan_digest(plan):
        raise SystemExit(
            f"{folder / 'report.json'} is of another run; make it again: stepnav report {folder}"
        )
    return {**report, "is_tuned": any(strategy.by_budget for strategy in plan.strategies)}


def read_evaluation(folder: Path) -> dict[str, Any]:
    """Return an evaluation's report, having checked that it is of the scores beside it."""
    report: dict[str, Any] = json.loads((folder / "report.json").read_text())
    scores = folder / SCORES
    if scores.exists():
        with scores.open() as lines:
            header = unsealed(json.loads(next(lines)), scores)
        if any(report[key] != header[key] for key in ("reward_digest", "data_digest")):
            raise SystemExit(f"{folder / 'report.json'} is not of {scores}; make it again")
    return report


def publish_run(folder: Path, name: str) -> str:
    """Copy a run's report into the documents and return its section."""
    report = whole_rows(read_report(folder))
    target = DOCS / name
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(folder / "accuracy_vs_cost.png", target / "accuracy_vs_cost.png")
    for file in ("report.json", "report.md", "run.toml"):
        (target / file).write_text(without_places((folder / file).read_text(), folder))
    plot = f"\n\n![accuracy against costs](results/{name}/accuracy_vs_cost.png)"
    where = f"{report['problems']} problems of {report['task']}/{report['split']}"
    if (folder / "right_prob.png").exists():
        shutil.copy(folder / "right_prob.png", target / "right_prob.png")
        plot += f"\n\n![P(right) against how often it came true](results/{name}/right_prob.png)"
    if (folder / "voting.json").exists():
        for file in ("voting.json", "voting.png"):
            shutil.copy(folder / file, target / file)
        plot = f"\n\n{voting_table(target)}\n\n![votes](results/{name}/voting.png){plot}"
    return (
        f"## {SECTIONS[name].title}\n\n{where}.\n\n{run_table(report)}\n\nWhole report: "
        f"[{name}](results/{name}/report.md), configuration: "
        f"[run.toml](results/{name}/run.toml).{plot}\n"
    )


def without_places(text: str, run: Path) -> str:
    """Return a text of a run in which models and data on a disk are named without their folders."""
    plan = read_plan(run)
    for name in (plan.policy, plan.reward, plan.settings.get("data")):
        if name is not None and Path(str(name)).is_absolute():
            text = text.replace(str(name), Path(str(name)).name)
    return text


def run_table(report: dict[str, Any]) -> str:
    rows = []
    for row in report["rows"]:
        counts = [
            f"{row[k]}" if row.get(k) is not None else "" for k in ("backtracks", "duplicates")
        ]
        budget = "" if row["budget"] is None else str(row["budget"])
        flops, wall_s = row["flops_per_problem"], row["wall_s"]
        rows.append(
            [
                row["label"],
                budget,
                f"{percent(row['accuracy'])} ({percent(row['ci95'][0])} to "
                f"{percent(row['ci95'][1])})",
                f"{row['policy_tokens_per_problem']:.0f}",
                f"{row['reward_tokens_per_problem']:.0f}",
                "" if flops is None else f"{flops / 1e9:.2f}",
                "" if wall_s is None else f"{wall_s / row['searches']:.2f}",
                p_text(row["p_vs_baseline"]),
                p_text(row["p_holm"]),
                *counts,
            ]
        )
    header = ["strategy", "budget", "right (95% interval)", "policy tokens", "reward tokens"]
    header += [
        "GFLOPs",
        "seconds",
        f"p against {baseline(report)}",
        "Holm p",
        "backtracks",
        "duplicates",
    ]
    return table(header, rows)


def baseline(report: dict[str, Any]) -> str:
    """Return what the rows are compared with, in words."""
    compared = [row for row in report["rows"] if row["baseline"]]
    labels = {row["baseline"]["label"] for row in compared}
    budgets = {row["baseline"]["budget"] for row in compared}
    is_one = len(budgets) == 1 and budgets != {row["budget"] for row in compared}
    return " ".join([*labels, *(f"at {budget:,}" for budget in budgets if is_one)]) or "none"


def voting_table(folder: Path) -> str:
    """Return accuracy by number of samples, which `voting.py` found."""
    rows = json.loads((folder / "voting.json").read_text())
    cells = [
        [
            row["label"],
            "" if row["samples"] is None else str(row["samples"]),
            f"{percent(row['accuracy'])} ({percent(row['ci95'][0])} to {percent(row['ci95'][1])})",
            f"{row['policy_tokens']:.0f}",
        ]
        for row in rows
    ]
    return table(["strategy", "samples", "right (95% interval)", "policy tokens"], cells)


def grid_section(folder: Path) -> str:
    """Copy the grid of policies and simulated reward models and return its section."""
    if not (folder / "grid.json").exists():
        return ""
    target = DOCS / "grid"
    target.mkdir(parents=True, exist_ok=True)
    for file in ("grid.json", "grid.png"):
        shutil.copy(folder / file, target / file)
    found = json.loads((folder / "grid.json").read_text())
    laws = found["laws"]
    terms = list(next(iter(laws.values()))["weights"])
    errors = ("mean_error_held_out", "mean_error_seen", "mean_error_of_the_mean")
    rows = [
        [
            name,
            *(f"{law['weights'][term]:+.2f}" for term in terms),
            *(f"{100 * law[error]:.1f}" for error in errors),
        ]
        for name, law in laws.items()
    ]
    header = ["strategy", *terms, "error, held out", "seen", "of the mean"]
    return (
        f"## {GRID_TITLE}\n\nThe shipped policy of arithmetic at five temperatures by reward "
        "models that are simulated: they know which steps are wrong, miss a share of them and "
        f"reject a share of the others. {found['cells'][0]['problems']} dev problems a cell, "
        f"{found['budget']} policy tokens, gain over one sample (`benchmarks/grid.py`).\n\n"
        "![gain by policy and reward model](results/grid/grid.png)\n\nThe law: the gain in "
        "log-odds is the sum of these weights times the log-odds of one sample (policy), the share "
        "of errors missed and of other steps rejected. Errors are mean distances in points between "
        f"law and measurement, on {next(iter(laws.values()))['cells_held_out']} cells held out, on "
        "those that it was fitted to, and of the latter's mean on the held-out ones.\n\n"
        + table(header, rows)
        + "\n"
    )


def tuned_section() -> str:
    """Return the options of each strategy by budget, from the files that runs take them from."""
    text = []
    for path in sorted(TUNED.glob("*.json")):
        tuned = read_tuned(path)
        rows = [
            [entry.strategy, str(entry.budget), f"`{entry.setting}`", str(entry.tried),
             str(entry.problems), "" if entry.accuracy is None else percent(entry.accuracy)]
            for entry in sorted(tuned.best, key=lambda entry: entry.strategy)
        ]  # fmt: skip
        made = tuned.origin
        text.append(
            f"### {made['task']}\n\n[{path.name}](results/tuned/{path.name}): {made['searches']:,} "
            f"searches of the {made['split']} split, {made['policy_tokens']:,} policy tokens.\n\n"
            + table(["strategy", "budget", "best options", "tried", "problems", "right"], rows)
        )
    return "\n\n".join(["## Tuned options", *text]) + "\n" if text else ""


REWARD_MODELS = {
    "untrained": "untrained head on the fine-tuned policy",
    "prm-raw": "PRM from the raw base",
    "prm-sft": "PRM from the fine-tuned policy",
    "orm": "outcome model from the fine-tuned policy",
}
"""Folders of `recipes/smollm2_prm.sh`, from the weakest claim to the strongest."""


def interval(figure: dict[str, Any] | None, scale: float = 100, digits: int = 1) -> str:
    if figure is None or figure.get("value") is None:
        return "-"
    low, high = figure.get("ci95") or (None, None)
    text = f"{scale * figure['value']:.{digits}f}"
    return (
        text if low is None else f"{text} ({scale * low:.{digits}f} to {scale * high:.{digits}f})"
    )


def training_table(folder: Path) -> str:
    """Return what the models of the real run have read."""
    rows = []
    for name, title in (("sft", "fine-tuned policy"), *list(REWARD_MODELS.items())[1:]):
        report = json.loads((folder / f"{name}-training.json").read_text())
        losses = [loss for _, loss in report["fit"]["losses"]]
        tail = losses[-max(1, len(losses) // 10) :]
        rows.append(
            [
                title,
                *(f"{report[key]:,}" for key in ("examples", "labels", "tokens", "plain_tokens")),
                f"{report['fit']['steps']}",
                f"{sum(tail) / len(tail):.3f}",
            ]
        )
    header = ["trained", "examples", "labels", "tokens", "without sharing", "steps", "last loss"]
    return table(header, rows)


def publish_reward_models(folder: Path) -> str:
    """Copy the reports of the real run's reward models and return their section."""
    phase1, process = [], []
    reports = {}
    for name, title in REWARD_MODELS.items():
        for kind in ("phase1", "processbench"):
            source = folder / f"{name}-{kind}"
            if not (source / "report.json").exists():
                continue
            report = read_evaluation(source)
            target = DOCS / "reward_models" / source.name
            target.mkdir(parents=True, exist_ok=True)
            for file in ("report.json", "report.md", *(p.name for p in source.glob("*.png"))):
                shutil.copy(source / file, target / file)
            reports[name, kind] = report
            figures = report["figures"]
            link = f"[{title}](results/reward_models/{source.name}/report.md)"
            if kind == "phase1":
                negative = figures["classes"]["-1"]
                phase1.append(
                    [
                        link,
                        interval(figures["negative"]["auroc"], 1, 3),
                        *(interval(negative[key]) for key in ("precision", "recall", "f1")),
                        interval(figures["accuracy"]),
                    ]
                )
            else:
                rated = figures["by_rating_all"]
                process.append(
                    [
                        link,
                        interval(figures["auroc_first_errors"], 1, 3),
                        *(interval(rated[k]) for k in ("error_accuracy", "correct_accuracy", "f1")),
                        interval(figures["by_threshold"]["f1"]),
                    ]
                )
    if not reports:
        return ""
    sizes = {kind: report for (_, kind), report in reports.items()}
    text = [
        f"## {REWARD_TITLE}\n\nSmolLM2-135M-Instruct, trained once over parts "
        "of MATH and PRM800K phase 1 by `recipes/smollm2_prm.sh`, in bfloat16 on two cores.",
        training_table(folder),
    ]
    if phase1:
        count = sizes["phase1"]
        text += [
            f"PRM800K phase-1 test, {count['scored']} rated alternatives of {count['problems']} "
            "problems:",
            table(
                [
                    "reward model",
                    "AUROC of -1",
                    "precision of -1, %",
                    "recall, %",
                    "F1, %",
                    "accuracy, %",
                ],
                phase1,
            ),
        ]
    if process:
        count = sizes["processbench"]
        text += [
            f"ProcessBench gsm8k, {count['scored']} solutions of {count['problems']} problems; the "
            "first step rated -1 is the first error, or, in the last column, the first whose "
            f"P(-1) is above a threshold chosen on {count['figures']['dev']['problems']} problems "
            f"and measured on the other {count['figures']['test']['problems']}:",
            table(
                [
                    "reward model",
                    "AUROC",
                    "error acc., %",
                    "correct acc., %",
                    "F1, %",
                    "F1 by threshold, %",
                ],
                process,
            ),
        ]
    return "\n\n".join(text) + "\n"


def ablation_section() -> str:
    """Return the section of the ablations, from what `ablations.py --publish` left."""
    folder = DOCS / "ablations"
    if not (folder / "ablations.json").exists():
        return ""
    found = json.loads((folder / "ablations.json").read_text())
    return (
        f"## {ABLATION_TITLE}\n\nReward models of the arithmetic task with one thing changed at a "
        "time (`make ablations`). Offline figures in percent, on "
        f"{found['held_out']} dev problems with four solutions each; gains in points with 95% "
        "intervals: the best of those four over one of them, and HGS over greedy chain of thought "
        f"on {found['problems']} other dev problems.\n\n{main_table(found['rows'])}\n\n"
        f"{rank_text(found['correlations'])}\n\nBy difficulty, and what each learnt from: "
        "[whole report](results/ablations/report.md).\n\n"
        "![labels, offline figures and gains](results/ablations/ablations.png)\n"
    )


GRID_TITLE = "Where search pays"
ABLATION_TITLE = "What a reward model's training buys"
REWARD_TITLE = "Reward models from a real backbone"


def sections_of(page: str) -> dict[str, str]:
    """Return title -> section of a document that was written before."""
    parts = page.split("\n## ")[1:]
    return {part.partition("\n")[0]: f"## {part.rstrip()}\n" for part in parts}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    args = parser.parse_args()
    made = {
        run.title: publish_run(args.runs / name, name)
        for name, run in SECTIONS.items()
        if (args.runs / name / "report.json").exists()
    }
    made["Tuned options"] = tuned_section()
    made[GRID_TITLE] = grid_section(args.runs / "grid")
    made[ABLATION_TITLE] = ablation_section()
    made[REWARD_TITLE] = publish_reward_models(args.runs / "reward_models")
    page = ROOT / "docs" / "results.md"
    before = sections_of(page.read_text())
    titles = [*(run.title for run in SECTIONS.values()), "Tuned options", GRID_TITLE]
    titles += [ABLATION_TITLE, REWARD_TITLE]
    sections = [made.get(title) or before.get(title, "") for title in titles]
    notes = ROOT / "docs" / "results_notes.md"
    models = "\n".join(
        f"- [{card.parent.name}](../{card.relative_to(ROOT)})"
        for card in sorted(MODELS_FOLDER.glob("*/README.md"))
    )
    head = (
        "# Results\n\n`make results` makes these runs again; `benchmarks/publish.py` writes this "
        f"page from their folders. The models and their own gates:\n\n{models}\n"
    )
    parts = [head, notes.read_text() if notes.exists() else "", *sections]
    page.write_text("\n".join(part for part in parts if part))
    for block, name in README_RUNS.items():
        path = args.runs / name / "report.json"
        if path.exists():
            report = whole_rows(read_report(path.parent))
            if any(row["budget"] == README_BUDGET for row in report["rows"]):
                replace_block(ROOT / "README.md", block, headline_table(report))


if __name__ == "__main__":
    main()
