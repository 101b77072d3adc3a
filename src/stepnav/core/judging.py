"""Asking a language model what it thinks of steps: conversations, and what the replies mean.

Tree of thoughts, RAP and the judge ask the same way, through `Ask`. The prompts are our own, with
worked examples; each wants one word, or one number, as the whole reply. What cannot be read is
None, never a rating.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from stepnav.core.records import Problem, Rating, Reply, StepScore, Trajectory
from stepnav.core.requests import Message

RATINGS: dict[str, Rating] = {"wrong": -1, "unclear": 0, "right": 1}
"""The words by which a step is rated."""
HOPES = {"sure": 1.0, "likely": 0.05, "impossible": 0.00005}
"""The words by which a prefix is valued: Yao et al. 2023 weigh them 20 : 1 : 0.001."""
REPLY_TOKENS = 16
"""Limit of a reply."""

_NEGATION = re.compile(
    r"\b(?:not|cannot|never|nothing|no(?! (?:error|mistake)s?\b))\b|n['\u2019]t\b"
)
_CLAUSE_END = re.compile(r"[.,:](?!\d)|[;!\n]")

_RATE = "Rate the last step of a solution with one word: right, wrong, or unclear if it is neither."
_VALUE = (
    "Can this beginning lead to the right answer? Reply with one word: sure, likely or impossible."
)
_VOTE = (
    "Choose the most promising of several beginnings of a solution. Reply with its number alone."
)

_APPLES = "Tom has 3 bags of 4 apples and eats 2. How many are left?"
_DOUBLE = "Write double(x), which returns twice x."
_RATED = (
    (_APPLES, ("3 * 4 = 12",), "right"),
    (_APPLES, ("3 * 4 = 12", "12 - 2 = 9"), "wrong"),
    (_APPLES, ("Apples are red.",), "unclear"),
    (_DOUBLE, ("def double(x):", "    return x + 2"), "wrong"),
)
_VALUED = (
    (_APPLES, ("3 * 4 = 12", "12 - 2 = 10"), "sure"),
    (_APPLES, ("There are 3 bags.",), "likely"),
    (_APPLES, ("3 + 4 = 7",), "impossible"),
    (_DOUBLE, ("def double(x, y):",), "impossible"),
)


def rating_messages(trajectory: Trajectory) -> tuple[Message, ...]:
    """Return the conversation that asks for a rating of a trajectory's last step."""
    return _conversation(_RATE, _RATED, trajectory, "The last step is")


def value_messages(trajectory: Trajectory) -> tuple[Message, ...]:
    """Return the conversation that asks whether a prefix can still lead to the right answer."""
    return _conversation(_VALUE, _VALUED, trajectory, "The right answer is")


def vote_messages(problem: Problem, candidates: Sequence[Trajectory]) -> tuple[Message, ...]:
    """Return the conversation that asks for the best of several prefixes, numbered from 1."""
    shown = "\n".join(f"Solution {i}:\n{_lines(c)}" for i, c in enumerate(candidates, 1))
    ask = f"Which solution is the most promising, 1 to {len(candidates)}?"
    return (
        Message("system", _VOTE),
        Message("user", f"Question: {problem.question.strip()}\n{shown}\n{ask}"),
    )


def read_word(text: str, words: Iterable[str]) -> str | None:
    """Return the one of some words that a reply says; None if none, several or a denied one.

    What a "not" in the word's own clause denies would be a guess; "no errors" alone denies nothing,
    nor does what the reply says elsewhere, or behind a "because".

    Example:
      >>> read_word("It is right.", RATINGS), read_word("It isn't right.", RATINGS)
      ('right', None)
    """
    words, text = list(words), text.lower()
    said = set(re.findall(rf"\b(?:{'|'.join(words)})\b", text))
    if said:
        word = said.pop()
        return None if said or _is_denied(word, text) else word
    begun = text.strip()  # a reply of one token may hold the beginning of a word
    meant = [word for word in words if begun and word.startswith(begun)]
    return meant[0] if len(meant) == 1 else None


def _is_denied(word: str, text: str) -> bool:
    said = re.compile(rf".*\b{word}\b(?:(?! (?:because|since)\b).)*")
    clauses = (said.match(clause) for clause in _CLAUSE_END.split(text))
    return any(found is not None and _NEGATION.search(found[0]) for found in clauses)


def read_vote(text: str, count: int) -> int | None:
    """Return the position, from 0, of the candidate that a reply names; None if not just one."""
    named = {int(number) for number in re.findall(r"\d+", text)}
    (number,) = named if len(named) == 1 else (0,)
    return number - 1 if 1 <= number <= count else None


def score_by_answer(replies: Iterable[Reply]) -> StepScore | None:
    """Return the shares of the ratings among replies; None if none can be read."""
    said = [word for reply in replies if (word := read_word(reply.text, RATINGS)) is not None]
    return _score({word: said.count(word) / len(said) for word in RATINGS}) if said else None


def score_by_logprob(replies: Iterable[Reply]) -> StepScore | None:
    """Return the probabilities of the rating words, from those of replies of one token.

    What the words that were said leave over is shared by the others. None if no reply can be read,
    or if the backend tells no log-probabilities.
    """
    known: dict[str, float] = {}
    for reply in replies:
        word = read_word(reply.text, RATINGS)
        if word is not None and reply.logprob is not None:
            known[word] = math.exp(min(0.0, reply.logprob))
    if not known:
        return None
    total, unsaid = math.fsum(known.values()), len(RATINGS) - len(known)
    if not unsaid or total > 1:
        return _score({word: known.get(word, 0.0) / total for word in RATINGS})
    return _score({word: known.get(word, (1 - total) / unsaid) for word in RATINGS})


def _score(probs: dict[str, float]) -> StepScore:
    return StepScore(probs["wrong"], probs["unclear"], probs["right"])


def _conversation(
    instruction: str,
    examples: Sequence[tuple[str, Sequence[str], str]],
    trajectory: Trajectory,
    ask: str,
) -> tuple[Message, ...]:
    turns = [Message("system", instruction)]
    for question, steps, word in examples:
        turns += [Message("user", _shown(question, "\n".join(steps), ask))]
        turns += [Message("assistant", word)]
    question = trajectory.problem.question.strip()
    return (*turns, Message("user", _shown(question, _lines(trajectory), ask)))


def _shown(question: str, steps: str, ask: str) -> str:
    return f"Question: {question}\n{steps}\n{ask}"


def _lines(trajectory: Trajectory) -> str:
    return "\n".join(step.key for step in trajectory.steps)
