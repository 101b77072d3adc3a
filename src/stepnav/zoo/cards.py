"""Writes the model cards from the evaluation's JSON, so that no figure is typed by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from stepnav.zoo.domain import Domain


def write_cards(out: Path, domain: Domain, evaluation: dict[str, Any]) -> None:
    """Write `README.md` into both model folders under `out`."""
    (out / domain.policy_name / "README.md").write_text(policy_card(domain, evaluation))
    (out / domain.prm_name / "README.md").write_text(prm_card(domain, evaluation))


EARLY = """ It is an early snapshot on purpose: search needs a policy that can find the right \
solution but does
not always find it first."""


def is_early(settings: dict[str, Any]) -> bool:
    """Return whether the policy is a snapshot from before the run's end."""
    return bool(settings["policy_tokens"] < settings["lm_tokens"])


def learned(settings: dict[str, Any]) -> str:
    """Return in words which tokens the language model learned."""
    share = settings.get("learned_questions", 0.0)
    return f"solutions and on {percent(share)} of the questions" if share else "solutions only"


def percent(value: float | None) -> str:
    """Return a share as a percentage, a dash for None."""
    return "-" if value is None else f"{100 * value:.1f}%"


def decimal(value: float | None) -> str:
    """Return a figure with four decimals, a dash for None."""
    return "-" if value is None else f"{value:.4f}"


def policy_card(domain: Domain, evaluation: dict[str, Any]) -> str:
    """Return the policy's model card."""
    rates, settings = evaluation["policy"], evaluation["recipe"]["settings"]
    [samples] = [key.removeprefix("pass_at_") for key in rates if key.startswith("pass_at_")]
    return f"""{front_matter("text-generation")}
# {domain.policy_name}

{domain.cards.policy}{EARLY if is_early(settings) else ""}

- Prompt: `{{question}}\\n`; steps end with `\\n`, the last one with EOS. Temperature 1 \
is the default.
- {shape(settings, settings["layers"])}

## Held-out results

{rates["problems"]} problems of the {evaluation["split"]} split, drawn with seed \
{evaluation["seed"]}:

| | |
|---|---|
| greedy accuracy | {percent(rates["greedy_accuracy"])} |
| accuracy at temperature 1 | {percent(rates["sampled_accuracy"])} |
| pass@{samples} at temperature 1 | {percent(rates[f"pass_at_{samples}"])} |
| greedy accuracy of the same run at its end (the reward model's backbone) | \
{percent(evaluation["backbone"]["greedy_accuracy"])} |

## Data

{domain.cards.data}

## Recipe

{settings["policy_tokens"]:,} tokens of a {settings["lm_tokens"]:,}-token run: Muon for \
hidden matrices, AdamW for the rest,
{"constant rate up to here" if is_early(settings) else "the rate falls to zero"}, \
loss on {learned(settings)}, a batch of {settings["lm_batch_tokens"]:,} tokens.
{compute_line(evaluation)}

## Limits

{domain.cards.limits}
"""


def prm_card(domain: Domain, evaluation: dict[str, Any]) -> str:
    """Return the reward model's model card."""
    settings = evaluation["recipe"]["settings"]
    gates = {evaluation["gate_on"]: evaluation["gate"], **evaluation["other_gates"]}
    tables = "\n\n".join(
        f"### {domain.cards.held_out[name]}\n\n{gate_tables(gate)}" for name, gate in gates.items()
    )
    return f"""{front_matter("token-classification")}
# {domain.prm_name}

A process reward model for `{domain.policy_name}`. {domain.cards.prm}

- Input: question, `\\n`, then the steps, each ended by `\\n` (`stepnav_prm.json`). \
The rating is read at each step's `\\n`.
- {shape(settings, settings["layers"] + 4)}: the {settings["layers"]} layers of the finished \
language model and
  four above them, which compare each token with the prediction made for it \
(`zoo/training/graft.py`).

## Held-out results

Steps with nothing wrong before them, on {measured_on(evaluation)}. The gate: at most
10% of first errors missed, at most 5% of right steps rejected.

{tables}

The reward model's own backbone solves {percent(evaluation["backbone"]["greedy_accuracy"])} of \
{evaluation["policy"]["problems"]} {evaluation["split"]} problems greedily, the
policy {percent(evaluation["policy"]["greedy_accuracy"])}: where the backbone itself \
can be used as the policy, it is the obvious
alternative to searching.

## Data

{domain.cards.data}
{labels_text(domain, evaluation["recipe"])}

## Recipe

{settings["prm_tokens"]:,} tokens. Labels are dense: every token of a right step carries its \
class, in a wrong step every
token from the first wrong character on.
{compute_line(evaluation)}

## Limits

{domain.cards.limits} Steps after a first error were not trained on: their ratings mean nothing.
"""


def measured_on(evaluation: dict[str, Any]) -> str:
    """Return in words which problems the gate's figures are of; older evaluations do not tell."""
    if "gate_problems" not in evaluation:
        return "held-out problems, of which number and split are not kept"
    return f"{evaluation['gate_problems']} problems of the {evaluation['gate_split']} split"


def labels_text(domain: Domain, recipe: dict[str, Any]) -> str:
    """Return where the labels come from, with how many there are."""
    return domain.cards.labels.format(
        solutions=f"{recipe['labelled_solutions']:,}",
        steps=f"{recipe['labelled_steps']:,}",
        searches=f"{recipe['settings'].get('search_problems', 0):,}",
        temperatures=", ".join(map(str, recipe["settings"]["temperatures"])),
    )


def gate_tables(gate: dict[str, Any]) -> str:
    """Return all tables of one set of labelled solutions."""
    parts = [
        f"{gate['num_steps']:,} steps, {gate['num_first_errors']:,} of them first errors.",
        summary_table(gate),
        class_table(gate),
        baseline_table(gate),
    ]
    if "kinds" in gate:
        parts += [group_table("change", gate["kinds"]), group_table("step", gate["step_indices"])]
    return "\n\n".join(parts)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    head, *lines = (f"| {' | '.join(cells)} |" for cells in (columns, *rows))
    return "\n".join([head, "|" + "---|" * len(columns), *lines])


def summary_table(gate: dict[str, Any]) -> str:
    """Return the figures that the gate decides on as a table."""
    figures = [percent(gate["misses"]), percent(gate["false_rejections"]), decimal(gate["auroc"])]
    columns = ("first errors missed", "right steps rejected", "AUROC of P(negative)")
    return table(columns, [figures])


def group_table(name: str, groups: dict[str, Any]) -> str:
    """Return the figures of groups of steps as a table."""
    columns = ("steps", "first errors", "missed", "right ones rejected", "negative F1", "AUROC")
    rows = [
        (
            label,
            f"{gate['num_steps']:,}",
            f"{gate['num_first_errors']:,}",
            percent(gate["misses"]),
            percent(gate["false_rejections"]),
            percent(gate["classes"]["-1"]["f1"]),
            decimal(gate["auroc"]),
        )
        for label, gate in groups.items()
    ]
    return table((name, *columns), rows)


def front_matter(pipeline: str) -> str:
    """Return the card's metadata block."""
    return (
        "---\nlicense: apache-2.0\nlanguage: en\nlibrary_name: transformers\n"
        f"pipeline_tag: {pipeline}\n---\n"
    )


def shape(settings: dict[str, Any], layers: int) -> str:
    """Return the architecture in words."""
    return (
        f"Llama, {layers} layers, width {settings['width']}, {settings['heads']} heads, byte-level "
        f"BPE with {settings['vocab_size']} entries and single digits"
    )


def compute_line(evaluation: dict[str, Any]) -> str:
    """Return seed, compute and the command that makes the models again."""
    recipe = evaluation["recipe"]
    minutes = {part: spent["seconds"] / 60 for part, spent in recipe["compute"].items()}
    rewards = sum(minutes[part] for part in minutes if part.startswith("prm"))
    return (
        f"Seed {recipe['seed']}; {minutes['lm']:.0f} minutes for the language model and "
        f"{rewards:.0f} for the reward model on {recipe['device']}, one thread each.\n"
        f"Made by `stepnav zoo train --task {recipe['task']} --scale {recipe['scale']} "
        f"--seed {recipe['seed']} --out DIR`."
    )


def class_table(gate: dict[str, Any]) -> str:
    """Return precision and recall per class as a table."""
    names = {"-1": "negative", "0": "neutral", "1": "positive"}
    rows = [
        (
            f"{names[rating]} ({rating})",
            f"{row['count']:,}",
            *(percent(row[figure]) for figure in ("precision", "recall", "f1")),
        )
        for rating, row in gate["classes"].items()
    ]
    return table(("class", "steps", "precision", "recall", "F1"), rows)


def baseline_table(gate: dict[str, Any]) -> str:
    """Return the likelihood baselines as a table."""
    name = "training-free baseline: lowest token log-probability under"
    rows = [
        (
            f"the {name}",
            decimal(row["auroc"]),
            *(percent(row[f"misses_at_{rate}_percent_rejections"]) for rate in (1, 5)),
        )
        for name, row in gate["likelihood_baselines"].items()
    ]
    return table((name, "AUROC", "missed at 1% rejected", "at 5%"), rows)
