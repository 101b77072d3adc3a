"""Turns run folders into docs/results.md, docs/reviewers.md and the tables in the README.

    python benchmarks/publish.py [runs/results]

Copies the reports of the runs that are there to docs/results/, and writes the pages from what lies
in that folder; without runs, only the latter. No figure in these documents is typed by hand: each
comes from the `report.json` of a run folder that `make results` makes again (`reward_models`: the
eval folder of `recipes/smollm2_prm.sh`), or from the `evaluation.json` of a shipped model; in the
texts (`results_notes.md`, `reviewers_notes.md`) by its name, see `figures.py`.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ablation_tables import main_table, rank_text
from figures import filled, p_text, percent
from results import PAPER, REAL_RUNS, RUNS, TUNED, command_words, with_budgets

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
PLOTS = {
    "voting.png": "votes",
    "accuracy_vs_cost.png": "accuracy against costs",
    "right_prob.png": "P(right) against how often it came true",
}
"""Plots of a run folder, and what they show."""
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
    intro = (
        f"{report['problems']} problems of the {report['task']} {report['split']} split, shipped "
        f"models, at most {README_BUDGET:,} policy tokens, "
        f"default options; p from McNemar's exact test against {against}, corrected by Holm for "
        "all rows of the report:\n\n"
    )
    return intro + table([*header, "p"], rows)


def replace_block(path: Path, name: str, text: str) -> None:
    """Put the text between the document's markers of that name."""
    document = path.read_text()
    start = document.index(f"<!-- results: {name} -->") + len(f"<!-- results: {name} -->")
    end = document.index("<!-- end -->", start)
    path.write_text(f"{document[:start]}\n{text}\n{document[end:]}")


def check_report(folder: Path) -> None:
    """Check that a run's report, plan and journal are of the same run.

    Raises:
      SystemExit: the report is of another one.
    """
    plan, journal = open_run(folder)
    journal.close()
    report = json.loads((folder / "report.json").read_text())
    if report.get("config") != plan_digest(plan):
        raise SystemExit(
            f"{folder / 'report.json'} is of another run; make it again: stepnav report {folder}"
        )


def check_evaluation(folder: Path) -> None:
    """Check that an evaluation's report is of the scores beside it.

    Raises:
      SystemExit: it is of others.
    """
    report = json.loads((folder / "report.json").read_text())
    scores = folder / SCORES
    if scores.exists():
        with scores.open() as lines:
            header = unsealed(json.loads(next(lines)), scores)
        if any(report[key] != header[key] for key in ("reward_digest", "data_digest")):
            raise SystemExit(f"{folder / 'report.json'} is not of {scores}; make it again")


def copy_run(folder: Path, target: Path) -> None:
    """Copy a run's report into the documents, having checked that it is of that run."""
    check_report(folder)
    target.mkdir(parents=True, exist_ok=True)
    for file in ("report.json", "report.md", "run.toml"):
        (target / file).write_text(without_places((folder / file).read_text(), folder))
    for file in ("accuracy_vs_cost.png", "right_prob.png", "voting.json", "voting.png"):
        if (folder / file).exists():
            shutil.copy(folder / file, target / file)


def run_section(name: str) -> str:
    """Return the section of a run that has been copied; "" of one that has not."""
    folder, run = DOCS / name, SECTIONS[name]
    if not (folder / "report.json").exists():
        return ""
    report = whole_rows(json.loads((folder / "report.json").read_text()))
    budgets = ",".join(str(found) for found in dict.fromkeys(r["budget"] for r in report["rows"]))
    words = command_words(with_budgets(run, budgets))  # as it was made, also with --budgets
    made = run.recipe or shlex.join(["stepnav", "bench", *words])
    parts = [
        f"## {run.title}",
        f"{report['problems']} problems of {report['task']}/{report['split']}: `{made}`",
        run_table(report),
        *([voting_table(folder)] if (folder / "voting.json").exists() else []),
        f"Whole report: [{name}](results/{name}/report.md), configuration: "
        f"[run.toml](results/{name}/run.toml).",
        *(
            f"![{title}](results/{name}/{file})"
            for file, title in PLOTS.items()
            if (folder / file).exists()
        ),
    ]
    return "\n\n".join(parts) + "\n"


def without_places(text: str, run: Path) -> str:
    """Return a text of a run in which models and data on a disk are named without their folders."""
    plan = read_plan(run)
    for name in (plan.policy, plan.reward, plan.settings.get("data")):
        if name is not None and Path(str(name)).is_absolute():
            text = text.replace(str(name), Path(str(name)).name)
    return text


def run_table(report: dict[str, Any]) -> str:
    """Return a run's table; columns of which nothing is known are left out."""
    columns: dict[str, Callable[[dict[str, Any]], str]] = {
        "strategy": lambda row: row["label"],
        "budget": lambda row: known(row["budget"], str),
        "right (95% interval)": lambda row: (
            f"{percent(row['accuracy'])} ({percent(row['ci95'][0])} to {percent(row['ci95'][1])})"
        ),
        "coverage": lambda row: known(row.get("coverage"), percent),
        "policy tokens": lambda row: f"{row['policy_tokens_per_problem']:.0f}",
        "reward tokens": lambda row: f"{row['reward_tokens_per_problem']:.0f}",
        "GFLOPs": lambda row: known(row["flops_per_problem"], lambda n: f"{n / 1e9:.2f}"),
        "seconds": lambda row: known(row["wall_s"], lambda s: f"{s / row['searches']:.2f}"),
        f"p against {baseline(report)}": lambda row: p_text(row["p_vs_baseline"]),
        "Holm p": lambda row: p_text(row["p_holm"]),
        "backtracks": lambda row: known(row.get("backtracks"), str),
        "duplicates": lambda row: known(row.get("duplicates"), str),
    }
    cells = {name: [tell(row) for row in report["rows"]] for name, tell in columns.items()}
    told = {name: column for name, column in cells.items() if any(column)}
    return table(list(told), [list(row) for row in zip(*told.values())])


def known(value: Any, tell: Callable[[Any], str]) -> str:
    return "" if value is None else tell(value)


def baseline(report: dict[str, Any]) -> str:
    """Return what the rows are compared with, in words."""
    compared = [row for row in report["rows"] if row["baseline"]]
    labels = {row["baseline"]["label"] for row in compared}
    budgets = {row["baseline"]["budget"] for row in compared}
    is_one = len(budgets) == 1 and budgets != {row["budget"] for row in compared}
    return " ".join([*labels, *(f"at {budget:,}" for budget in budgets if is_one)])


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


def copy_grid(folder: Path) -> None:
    """Copy the grid of policies and simulated reward models into the documents, if it is there."""
    if (folder / "grid.json").exists():
        (DOCS / "grid").mkdir(parents=True, exist_ok=True)
        for file in ("grid.json", "grid.png"):
            shutil.copy(folder / file, DOCS / "grid" / file)


def grid_section() -> str:
    """Return the section of that grid; "" if there is none."""
    folder = DOCS / "grid"
    if not (folder / "grid.json").exists():
        return ""
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


def training_rows(folder: Path) -> list[list[str]]:
    """Return what the models of the real run have read."""
    rows = []
    for name, title in (("sft", "fine-tuned policy"), *list(REWARD_MODELS.items())[1:]):
        report = json.loads((folder / f"{name}-training.json").read_text())
        losses = [loss for _, loss in report["fit"]["losses"]]
        tail = losses[-max(1, len(losses) // 10) :]
        read = (f"{report[key]:,}" for key in ("examples", "labels", "tokens", "plain_tokens"))
        rows.append([title, *read, f"{report['fit']['steps']}", f"{sum(tail) / len(tail):.3f}"])
    return rows


def copy_reward_models(folder: Path) -> None:
    """Copy the reports of the real run's reward models into the documents, if they are there."""
    if not folder.is_dir():
        return
    for source in (folder / name for name in reward_reports()):
        check_evaluation(source)
        target = DOCS / "reward_models" / source.name
        target.mkdir(parents=True, exist_ok=True)
        for file in ("report.json", "report.md", *(p.name for p in source.glob("*.png"))):
            shutil.copy(source / file, target / file)
    (DOCS / "reward_models" / "training.json").write_text(
        json.dumps(training_rows(folder), indent=1) + "\n"
    )


def reward_reports() -> list[str]:
    return [f"{name}-{kind}" for name in REWARD_MODELS for kind in ("phase1", "processbench")]


def reward_section() -> str:
    """Return the section of the real run's reward models."""
    folder = DOCS / "reward_models"
    reports = {
        name: json.loads((folder / name / "report.json").read_text()) for name in reward_reports()
    }
    phase1, process = [], []
    for name, title in REWARD_MODELS.items():
        figures = reports[f"{name}-phase1"]["figures"]
        negative = figures["classes"]["-1"]
        phase1.append(
            [
                f"[{title}](results/reward_models/{name}-phase1/report.md)",
                interval(figures["negative"]["auroc"], 1, 3),
                *(interval(negative[key]) for key in ("precision", "recall", "f1")),
                interval(figures["accuracy"]),
            ]
        )
        figures = reports[f"{name}-processbench"]["figures"]
        rated = figures["by_rating_all"]
        process.append(
            [
                f"[{title}](results/reward_models/{name}-processbench/report.md)",
                interval(figures["auroc_first_errors"], 1, 3),
                *(interval(rated[key]) for key in ("error_accuracy", "correct_accuracy", "f1")),
                interval(figures["by_threshold"]["f1"]),
            ]
        )
    blind = json.loads((DOCS / "gsm8k" / "processbench_report.json").read_text())["figures"]
    lot, length = blind["by_chance"], blind["by_length"]
    for title, row in (
        (f"{100 * lot['rate']:.0f}% of steps, drawn by lot", lot),
        (f"the first step of more than {length['characters']} characters", length),
    ):
        parts = (interval(row[key]) for key in ("error_accuracy", "correct_accuracy", "f1", "f1"))
        process.append([title, "-", *parts])
    counts = reports[reward_reports()[-2]]
    bench = reports[reward_reports()[-1]]
    chosen = {part: bench["figures"][part]["problems"] for part in ("dev", "test")}
    read = ["trained", "examples", "labels", "tokens", "without sharing", "steps", "last loss"]
    rated_1 = ["AUROC of -1", "precision of -1, %", "recall, %", "F1, %", "accuracy, %"]
    found = ["AUROC", "error acc., %", "correct acc., %", "F1, %", "F1 by threshold, %"]
    text = [
        f"## {REWARD_TITLE}",
        "SmolLM2-135M-Instruct, trained once over parts of MATH and PRM800K phase 1 by "
        "`recipes/smollm2_prm.sh`, in bfloat16 on two cores.",
        table(read, json.loads((folder / "training.json").read_text())),
        f"PRM800K phase-1 test, {counts['scored']} rated alternatives of {counts['problems']} "
        "problems:",
        table(["reward model", *rated_1], phase1),
        f"ProcessBench gsm8k, {bench['scored']} solutions of {bench['problems']} problems; the "
        "first step rated -1 is the first error, or, in the last column, the first whose P(-1) is "
        f"above a threshold chosen on {chosen['dev']} problems and measured on the other "
        f"{chosen['test']}; the last lines know nothing of what a step says:",
        table(["reward model", *found], process),
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
        "intervals: the best of those four over one of them, and HGS and nav over greedy chain of "
        f"thought on {found['problems']} other dev problems.\n\n{main_table(found['rows'])}\n\n"
        f"{rank_text(found['correlations'])}\n\nBy difficulty, and what each learnt from: "
        "[whole report](results/ablations/report.md).\n\n"
        "![labels, offline figures and gains](results/ablations/ablations.png)\n"
    )


GRID_TITLE = "Where search pays"
ABLATION_TITLE = "What a reward model's training buys"
REWARD_TITLE = "Reward models from a real backbone"


def results_page() -> str:
    """Return the page: what was found, how, and every table with its command."""
    models = "\n".join(
        f"- [{card.parent.name}](../{card.relative_to(ROOT)})"
        for card in sorted(MODELS_FOLDER.glob("*/README.md"))
    )
    sections = [
        *map(run_section, SECTIONS), tuned_section(), grid_section(), ablation_section(),
        reward_section(),
    ]  # fmt: skip
    return "\n".join(
        [
            "# Results\n",
            filled((ROOT / "docs" / "results_notes.md").read_text()),
            f"The models and their own gates:\n\n{models}\n",
            *filter(None, sections),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="?", help="folder of run folders")
    args = parser.parse_args()
    if args.runs is not None:
        for name in SECTIONS:
            if (args.runs / name / "report.json").exists():
                copy_run(args.runs / name, DOCS / name)
        copy_grid(args.runs / "grid")
        copy_reward_models(args.runs / "reward_models")
    (ROOT / "docs" / "results.md").write_text(results_page())
    notes = (ROOT / "docs" / "reviewers_notes.md").read_text()
    (ROOT / "docs" / "reviewers.md").write_text(filled(notes))
    for block, name in README_RUNS.items():
        report = whole_rows(json.loads((DOCS / name / "report.json").read_text()))
        replace_block(ROOT / "README.md", block, headline_table(report))


if __name__ == "__main__":
    main()
