"""`stepnav data mutate` and `stepnav data merge`: step-labelled data by mutation testing."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from stepnav.cli.cluster import RayOptions
from stepnav.cli.console import Stages, interruptible, print_json, stderr, stdout
from stepnav.cli.data.origin import Origin, load_references
from stepnav.cli.options import AsJson, Data, Resume, Sandbox, Seed, check_resume
from stepnav.core.errors import DataError
from stepnav.core.shard import Shard
from stepnav.mutate.campaign import WHOLE, find_journals, journal_path, merge, run_campaign
from stepnav.mutate.examination import Settings
from stepnav.mutate.findings import Outcome


def run(
    *,
    out: Annotated[Path, typer.Option(help="Folder for the journal and the data.")],
    task: Annotated[
        str | None, typer.Option(help="mbpp (ids 511-974); or give --program and --tests.")
    ] = None,
    data: Data = None,
    ids: Annotated[
        str | None, typer.Option(help="Only these task ids, for instance 601-620,700.")
    ] = None,
    program: Annotated[
        list[Path] | None, typer.Option(help="Your own program; may be repeated.")
    ] = None,
    tests: Annotated[
        list[Path] | None,
        typer.Option(
            help="Its tests: asserts, pytest, unittest or check(candidate); one per program."
        ),
    ] = None,
    function: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this function of it; may be repeated. [default: all that have tests]"
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes, or workers of the cluster.")] = 2,
    ray_options: RayOptions,
    shard: Annotated[str, typer.Option(help="i/n: only the i-th of n parts; merge them later.")] = (
        "1/1"
    ),
    seed: Seed = 0,
    decoys: Annotated[
        int, typer.Option(min=0, help="Rewrites that keep the meaning, per program.")
    ] = 0,
    second_order: Annotated[
        int, typer.Option(min=0, help="Mutants with two edits, per program.")
    ] = 0,
    repairs: Annotated[
        int, typer.Option(min=0, help="Later edits tried as a repair of each killed mutant.")
    ] = 12,
    hold_out: Annotated[
        str | None,
        typer.Option(help="Operators kept out of training, comma-separated, or none."),
    ] = None,
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
    origin = load_references(
        task,
        data=data,
        ids=ids,
        programs=program or [],
        tests=tests or [],
        functions=function or [],
        level=sandbox,
    )
    for line in origin.left_out:
        stderr().print(f"left out: {line}", markup=False, soft_wrap=True)
    for line in origin.refused:
        stderr().print(f"refused: {line}", markup=False, soft_wrap=True)
    if not origin.references:
        raise DataError(
            f"nothing to mutate: {len(origin.refused)} programs or ids refused, none left"
        )
    with interruptible(lambda: f"finished problems are kept in {out}"), Stages("problems") as bar:
        outcomes = run_campaign(
            origin.references,
            out,
            Settings(seed, decoys, second_order, repairs),
            task=origin.name,
            source=origin.source,
            held_out=_parse_names(hold_out, origin.held_out),
            level=sandbox,
            workers=workers,
            cluster=ray_options.cluster(workers),
            shard=part,
            progress=_teller(bar),
        )
    files = merge(find_journals([out]), out)[1] if part == WHOLE else []
    tell(out, outcomes, origin, files, time.monotonic() - began, as_json)


def tell(
    out: Path,
    outcomes: Sequence[Outcome],
    origin: Origin | None,
    files: Sequence[Path],
    seconds: float,
    as_json: bool,
) -> None:
    """Report what a campaign, or one shard of it, has made; `origin` is None after a merge."""
    refused = origin.refused if origin is not None else []
    unused = [outcome for outcome in outcomes if outcome.error is not None]
    verdicts = Counter(f.verdict for outcome in outcomes for f in outcome.findings)
    if as_json:
        print_json(
            {
                "out": str(out),
                "files": [file.name for file in files],
                "problems": len(outcomes),
                "unused": {outcome.task_id: outcome.error for outcome in unused},
                "refused": refused,
                "left_out": list(origin.left_out) if origin is not None else [],
                "verdicts": dict(sorted(verdicts.items())),
                "dropped": sum(sum((o.dropped or {}).values()) for o in outcomes),
                "judged": sum(outcome.num_judged for outcome in outcomes),
                "seconds": round(seconds, 2),
            }
        )
    else:
        _print_summary(out, outcomes, len(refused), files, verdicts)
    if len(unused) == len(outcomes) and files:
        raise DataError(f"none of the {len(outcomes)} programs could be used; see the lines above")


def _print_summary(
    out: Path,
    outcomes: Sequence[Outcome],
    num_refused: int,
    files: Sequence[Path],
    verdicts: Counter[Any],
) -> None:
    used = sum(outcome.error is None for outcome in outcomes)
    counts = ", ".join(f"{name} {count}" for name, count in sorted(verdicts.items()))
    console = stdout()
    console.print(
        f"{used} of {len(outcomes) + num_refused} programs used; {verdicts.total()} records: "
        f"{counts}",
        soft_wrap=True,
    )
    if files:
        console.print(f"In {out}: {', '.join(file.name for file in files)}", soft_wrap=True)
    else:
        console.print(
            f"This shard is done. When all are: stepnav data merge {out} --out DIR", soft_wrap=True
        )


def _parse_names(text: str | None, default: Sequence[str]) -> list[str]:
    if text is None:
        return list(default)
    return [name for name in text.split(",") if name and name != "none"]


def _teller(bar: Stages) -> Callable[[int, int, Outcome | None], None]:
    """Return what shows how many problems are done, and how fast, and tells which are not used."""
    began, judged = time.monotonic(), 0

    def show(done: int, total: int, outcome: Outcome | None) -> None:
        nonlocal judged
        if outcome is not None:
            judged += outcome.num_judged
            if outcome.error is not None:
                line = f"not used: {outcome.task_id}: {outcome.error}"
                stderr().print(line, markup=False, soft_wrap=True)
        rate = judged / max(time.monotonic() - began, 1e-9)
        bar.reach("mutate", done, total, f"({rate:.0f} programs/s)")

    return show
