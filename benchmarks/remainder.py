"""What drawing without replacement costs: seconds a token and a draw beside independent draws.

Both sides draw steps after the same prefixes with the same model, in turns. Each side keeps one
request a prefix open, of one draw, which excludes what was drawn after its prefix before. Tokens
are those that the model sampled: known ones, with which a draw begins, cost nothing. CPU time
counts, and the median of the rounds' ratios, so that what else runs on the machine falls on both.

    python benchmarks/remainder.py [--model FOLDER] [--rounds 7] [--draws 8] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

from stepnav.core.records import Step, Trajectory
from stepnav.core.requests import Propose, Sampling
from stepnav.engine.checkpoint.loading import load_tokenizer, require_torch
from stepnav.engine.tokenizer import following_ids
from stepnav.policies.local import LocalPolicy
from stepnav.tasks.arithmetic import problems as arithmetic

ZOO = Path(__file__).resolve().parents[1] / "src" / "stepnav" / "zoo" / "models"


def prefixes(count: int, model: Path) -> list[Trajectory]:
    """Return the questions of development problems, and their solutions' beginnings.

    The steps know their tokens, as those of a search do.
    """
    found, tokenizer = [], load_tokenizer(model)
    for index in range(count):
        problem = arithmetic.problem(f"arithmetic-dev-1-{index}")
        steps = tuple(
            Step(text, token_ids=tuple(following_ids(tokenizer, text, "\n")))
            for text in arithmetic.solve(problem.id)
        )
        found.append(Trajectory(problem, steps[: index % max(1, len(steps))]))
    return found


def draw(policy: LocalPolicy, roots: list[Trajectory], draws: int, *, replace: bool) -> tuple:
    """Return (CPU seconds, tokens, distinct steps) of drawing so many steps after each prefix."""
    policy.close()
    drawn: list[tuple[Step, ...]] = [() for _ in roots]

    def submit(ticket: int) -> None:
        place = ticket % len(roots)
        sampling = Sampling(1.0, without=None if replace else drawn[place])
        policy.submit(ticket, Propose(roots[place], 1, sampling, seed=ticket))

    began = time.process_time()
    for ticket in range(len(roots)):
        submit(ticket)
    left = draws * len(roots)
    while left:
        for ticket, answer in policy.poll(0.0):
            drawn[ticket % len(roots)] += answer.items
            left -= 1
            if ticket + len(roots) < draws * len(roots):
                submit(ticket + len(roots))
    seconds = time.process_time() - began
    tokens = sum(step.num_tokens for steps in drawn for step in steps)
    return seconds, tokens, sum(len({step.key for step in steps}) for steps in drawn)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=ZOO / "arithmetic-policy")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--draws", type=int, default=8)
    parser.add_argument("--prefixes", type=int, default=64)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    require_torch()
    policy = LocalPolicy(arguments.model, device="cpu")
    roots = prefixes(arguments.prefixes, arguments.model)
    draw(policy, roots, 1, replace=True)
    ratios, by_draw, rates, distinct = [], [], {True: [], False: []}, {}
    for number in range(arguments.rounds):
        costs, whole = {}, {}
        for replace in (True, False) if number % 2 else (False, True):
            seconds, tokens, distinct[replace] = draw(
                policy, roots, arguments.draws, replace=replace
            )
            costs[replace], whole[replace] = seconds / tokens, seconds
            rates[replace].append(tokens / seconds)
        ratios.append(costs[False] / costs[True])
        by_draw.append(whole[False] / whole[True])
    found = {
        "seconds_per_token_ratio": statistics.median(ratios),
        "seconds_per_draw_ratio": statistics.median(by_draw),
        "ratios": ratios,
        "tokens_per_s_with_replacement": statistics.median(rates[True]),
        "tokens_per_s_without": statistics.median(rates[False]),
        "distinct_steps_with_replacement": distinct[True],
        "distinct_steps_without": distinct[False],
    }
    print(json.dumps(found) if arguments.json else "\n".join(f"{k}: {v}" for k, v in found.items()))


if __name__ == "__main__":
    main()
