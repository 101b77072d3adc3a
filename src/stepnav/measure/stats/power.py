"""How many problems a comparison needs, and how small a difference it can show.

The power of McNemar's exact test before a run (Connor 1987, https://doi.org/10.2307/2531961, has
the sums; his sample sizes approximate them). What counts is on how many problems the two strategies
disagree: problems that both solve, or neither, tell nothing.
"""

from __future__ import annotations

from typing import Any

from stepnav.measure.extras import load

LEVEL = 0.05
POWER = 0.8
MOST_PROBLEMS = 1_000_000
NEGLIGIBLE = 1e-9
"""Chance of numbers of such problems that are left out of the sum, at either end."""


def mcnemar_power(problems: int, difference: float, disagreement: float) -> float:
    """Return the chance that McNemar's exact test finds a difference (p < .05, two-sided).

    Args:
      problems: solved by both strategies, each once.
      difference: of their accuracies, 0 to `disagreement`.
      disagreement: share of problems that only one of them gets right, above 0.
    Raises:
      ValueError: shares that cannot be.
    """
    if not 0 <= difference <= disagreement <= 1 or disagreement == 0:
        raise ValueError(
            f"a difference of {difference} with {disagreement} of the problems decided differently "
            "cannot be: 0 <= difference <= disagreement <= 1, and disagreement is above 0"
        )
    np, binom = load("numpy"), load("scipy.stats").binom
    likely = binom.ppf((NEGLIGIBLE, 1 - NEGLIGIBLE), problems, disagreement)
    discordant = np.arange(likely[0], likely[1] + 1)
    won: Any = (1 + difference / disagreement) / 2  # chance that the better one has a discordant
    enough = binom.isf(LEVEL / 2, discordant, 0.5) + 1  # so many won, or lost, are significant
    found = binom.sf(enough - 1, discordant, won) + binom.cdf(discordant - enough, discordant, won)
    return float(binom.pmf(discordant, problems, disagreement) @ found)


def problems_needed(difference: float, disagreement: float, *, power: float = POWER) -> int:
    """Return how many problems show a difference with a chance of `power`.

    The power rises in small saws; the number returned is on its rising edge.

    Raises:
      ValueError: more than a million, or shares that cannot be.

    Example:
      >>> problems_needed(0.03, 0.10)
      920
    """
    low, high = 0, 16
    while mcnemar_power(high, difference, disagreement) < power:
        if high > MOST_PROBLEMS:
            raise ValueError(
                f"a difference of {difference} needs more than {MOST_PROBLEMS} problems"
            )
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if mcnemar_power(middle, difference, disagreement) < power:
            low = middle
        else:
            high = middle
    return high


def smallest_difference(
    problems: int, disagreement: float, *, power: float = POWER
) -> float | None:
    """Return the smallest difference that so many problems show with a chance of `power`.

    None where even a strategy that wins every problem on which they disagree is not told apart.
    To a thousandth.
    """
    if mcnemar_power(problems, disagreement, disagreement) < power:
        return None
    low, high = 0.0, disagreement
    while high - low > 1e-3:
        middle = (low + high) / 2
        if mcnemar_power(problems, middle, disagreement) < power:
            low = middle
        else:
            high = middle
    return high
