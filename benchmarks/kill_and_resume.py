"""Kills a bench run at random moments until it is done, and compares it with an undisturbed run.

Trees, answers and costs must be equal (clock time aside), and no answered request may be asked
again. The kills are `kill -9`; each resume is the command that a user would type.

    python benchmarks/kill_and_resume.py --kills 50 [--problems 40] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from stepnav.core.codec import encode_result
from stepnav.core.errors import JournalError
from stepnav.run.journal import Journal


def command(out: Path, problems: int, extra: list[str]) -> list[str]:
    run = "from stepnav.cli.main import main; main()"
    options = ["--problems", str(problems), "--out", str(out), "--resume", "--split", "dev", *extra]
    return [sys.executable, "-c", run, "bench", *options]


def results(out: Path) -> dict[str, Any]:
    """Return search id -> result without its clock time."""
    journal = Journal(out / "journal.sqlite", is_read_only=True)
    found = {}
    for result in journal.results():
        value = encode_result(result)
        del value["usage"]["seconds"]
        found[result.search_id] = value
    journal.close()
    return found


def num_answers(out: Path) -> int:
    path = out / "journal.sqlite"
    if not path.exists():
        return 0
    try:
        journal = Journal(path, is_read_only=True)
    except JournalError:  # killed before, or caught while, it was made
        return 0
    try:
        return journal.num_answers()
    finally:
        journal.close()


def num_repeated(out: Path) -> int:
    """Return how many requests were answered more than once."""
    journal = Journal(out / "journal.sqlite", is_read_only=True)
    rows = journal._read(
        "SELECT COUNT(*) - COUNT(DISTINCT search_id || '/' || number) FROM answers"
    )
    journal.close()
    return int(rows[0][0])


def kill_until_done(out: Path, args: argparse.Namespace, extra: list[str]) -> int:
    """Return how many times the run was killed in the middle before it was let to its end."""
    draw = random.Random(args.seed)
    kills = 0
    while kills < args.kills:
        process = subprocess.Popen(
            command(out, args.problems, extra),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        before = num_answers(out)
        while num_answers(out) <= before and process.poll() is None:
            time.sleep(0.05)
        time.sleep(draw.uniform(0, args.span_s))
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
        print(f"kill {kills}: {num_answers(out)} answers kept", flush=True)
    subprocess.run(command(out, args.problems, extra), check=True, stdout=subprocess.DEVNULL)
    return kills


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--problems", type=int, default=40)
    parser.add_argument("--span-s", type=float, default=1.0, help="longest run before a kill")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    args, extra = parser.parse_known_args()
    folder = args.out or Path(tempfile.mkdtemp(prefix="stepnav-kill-"))
    whole, killed = folder / "undisturbed", folder / "killed"
    subprocess.run(command(whole, args.problems, extra), check=True, stdout=subprocess.DEVNULL)
    kills = kill_until_done(killed, args, extra)
    first, second = results(whole), results(killed)
    different = [name for name in first if first[name] != second.get(name)]
    figures = {
        "kills": kills,
        "searches": len(first),
        "answers": num_answers(whole),
        "different_searches": len(different) + len(set(second) - set(first)),
        "answers_after_kills": num_answers(killed),
        "repeated_answers": num_repeated(killed),
    }
    print(json.dumps(figures))
    if args.out is None:
        shutil.rmtree(folder)
    sys.exit(bool(figures["different_searches"] or figures["repeated_answers"]))


if __name__ == "__main__":
    main()
