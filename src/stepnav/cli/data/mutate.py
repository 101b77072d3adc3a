"""`stepnav data mutate` and `stepnav data merge`: step-labelled data by mutation testing."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from stepnav.cli.console import Stages, interruptible, print_json, say, tell
from stepnav.cli.data.origin import Origin, OriginOptions
from stepnav.cli.options.cluster import RayOptions
from stepnav.cli.options.shared import AsJson, Resume, Sandbox, Seed, check_resume
from stepnav.core.errors import DataError
from stepnav.core.shard import Shard
from stepnav.mutate.campaign import WHOLE, find_journals, journal_path, merge, run_campaign
from stepnav.mutate.examination import Settings
from stepnav.mutate.findings import ProblemReport


@dataclass(frozen=True, slots=True)
class MutantOptions:
    """What is made of each program besides its mutants, and what is kept out of training."""

    decoys: Annotated[
        int, typer.Option(min=0, help="Rewrites that keep the meaning, per program.")
    ] = 0
    second_order: Annotated[
        int, typer.Option(min=0, help="Mutants with two edits, per program.")
    ] = 0
    repairs: Annotated[
        int, typer.Option(min=0, help="Later edits tried as a repair of each killed mutant.")
    ] = 12
    hold_out: Annotated[
        str | None,
        typer.Option(help="Operators kept out of training, comma-separated, or none."),
    ] = None

    def settings(self, seed: int) -> Settings:
        """Return how programs are examined."""
        return Settings(seed, self.decoys, self.second_order, self.repairs)

    def held_out(self, default: Sequence[str]) -> list[str]:
        """Return the operators that are kept out of training."""
        if self.hold_out is None:
            return list(default)
        return [name for name in self.hold_out.split(",") if name and name != "none"]


def run(
    *,
    out: Annotated[Path, typer.Option(help="Folder for the journal and the data.")],
    origin_options: OriginOptions,
    workers: Annotated[int, typer.Option(min=1, help="Processes, or workers of the cluster.")] = 2,
    ray_options: RayOptions,
    shard: Annotated[str, typer.Option(help="i/n: only the i-th of n parts; merge them later.")] = (
        "1/1"
    ),
    seed: Seed = 0,
    mutant_options: MutantOptions,
    sandbox: Sandbox = "process",
    resume: Resume = False,
    as_json: AsJson = False,
) -> None:
    """Make step-labelled data of reference programs by mutation testing.

    Mutants run in the sandbox. Your test file runs outside it, against a proxy of the mutant: it is
    trusted as your own code. Each function under test becomes a program of its own, with what it
    needs of its module. Killed and started again with --resume, the command goes on where it was.
    Programs and tests that cannot be used are named, with the reason; the exit code is 2 only if no
    program can.

    Examples:

      stepnav data mutate --task mbpp --data mbpp.jsonl.gz --out mutants --workers 8

      stepnav data mutate --program gcd.py --tests test_gcd.py --out mutants --decoys 10
    """
    began = time.monotonic()
    part = Shard.parse(shard)
    journal = journal_path(out, part)
    check_resume(journal.exists(), resume, journal)
    origin = origin_options.load(sandbox)
    for line in origin.left_out:
        tell(f"left out: {line}")
    for line in origin.refused:
        tell(f"refused: {line}")
    if not origin.references:
        raise DataError(
            f"nothing to mutate: {len(origin.refused)} programs or ids refused, none left"
        )
    with interruptible(lambda: f"finished problems are kept in {out}"), Stages("problems") as bar:
        reports = run_campaign(
            origin.references,
            out,
            mutant_options.settings(seed),
            task=origin.name,
            source=origin.source,
            held_out=mutant_options.held_out(origin.held_out),
            level=sandbox,
            workers=workers,
            cluster=ray_options.cluster(workers),
            shard=part,
            progress=_teller(bar),
        )
    files = merge(find_journals([out]), out)[1] if part == WHOLE else []
    tell_made(out, reports, origin, files, time.monotonic() - began, as_json)


def tell_made(
    out: Path,
    reports: Sequence[ProblemReport],
    origin: Origin | None,
    files: Sequence[Path],
    seconds: float,
    as_json: bool,
) -> None:
    """Report what a campaign, or one shard of it, has made; `origin` is None after a merge."""
    refused = origin.refused if origin is not None else []
    unused = [report for report in reports if report.error is not None]
    verdicts = Counter(f.verdict for report in reports for f in report.findings)
    if as_json:
        print_json(
            {
                "out": str(out),
                "files": [file.name for file in files],
                "problems": len(reports),
                "unused": {report.task_id: report.error for report in unused},
                "refused": refused,
                "left_out": list(origin.left_out) if origin is not None else [],
                "verdicts": dict(sorted(verdicts.items())),
                "dropped": sum(sum((o.dropped or {}).values()) for o in reports),
                "judged": sum(report.num_judged for report in reports),
                "seconds": round(seconds, 2),
            }
        )
    else:
        _print_summary(out, reports, len(refused), files, verdicts)
    if len(unused) == len(reports) and files:
        raise DataError(f"none of the {len(reports)} programs could be used; see the lines above")


def _print_summary(
    out: Path,
    reports: Sequence[ProblemReport],
    num_refused: int,
    files: Sequence[Path],
    verdicts: Counter[Any],
) -> None:
    used = sum(report.error is None for report in reports)
    counts = ", ".join(f"{name} {count}" for name, count in sorted(verdicts.items()))
    say(
        f"{used} of {len(reports) + num_refused} programs used; {verdicts.total()} records: "
        f"{counts}"
    )
    if files:
        say(f"In {out}: {', '.join(file.name for file in files)}")
    else:
        say(f"This shard is done. When all are: stepnav data merge {out} --out DIR")


def _teller(bar: Stages) -> Callable[[int, int, ProblemReport | None], None]:
    """Return what shows how many problems are done, and how fast, and tells which are not used."""
    began, judged = time.monotonic(), 0

    def show(done: int, total: int, report: ProblemReport | None) -> None:
        nonlocal judged
        if report is not None:
            judged += report.num_judged
            if report.error is not None:
                tell(f"not used: {report.task_id}: {report.error}")
        rate = judged / max(time.monotonic() - began, 1e-9)
        bar.reach("mutate", done, total, f"({rate:.0f} programs/s)")

    return show
