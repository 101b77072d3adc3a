"""Writes the model cards from the evaluation's JSON, so that no figure is typed by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

DATA = """\
Word problems from the package's own generator (`stepnav.tasks.arithmetic`): ten kinds of everyday stories, told in the
order in which they are solved, with 3 to 8 dependent calculations. A solution is one step per line and ends with
`#### answer`. A question's hash decides whether it belongs to train, dev or test, so that no test question is ever drawn
in training."""

LIMITS = """\
The model knows these stories and nothing else: other wording, larger numbers or other kinds of arithmetic are outside its
data. It is meant for trying search methods offline, for tests and for teaching, not for solving real problems."""


def write_cards(out: Path, evaluation: dict[str, Any]) -> None:
    """Write `README.md` into both model folders under `out`."""
    (out / "arithmetic-policy" / "README.md").write_text(policy_card(evaluation))
    (out / "arithmetic-prm" / "README.md").write_text(prm_card(evaluation))


def percent(value: float | None) -> str:
    """Return a share as a percentage, a dash for None."""
    return "-" if value is None else f"{100 * value:.1f}%"


def decimal(value: float | None) -> str:
    """Return a figure with four decimals, a dash for None."""
    return "-" if value is None else f"{value:.4f}"


def policy_card(evaluation: dict[str, Any]) -> str:
    """Return the policy's model card."""
    rates, settings = evaluation["policy"], evaluation["recipe"]["settings"]
    samples = settings["eval_samples"]
    return f"""{front_matter("text-generation")}
# arithmetic-policy

A Llama-architecture language model, trained from scratch, that writes step-by-step solutions of grade-school word
problems, and often gets them wrong. It is an early snapshot on purpose: search needs a policy that can find the right
solution but does not always find it first.

- Prompt: `{{question}}\\n`; steps end with `\\n`, the last one with EOS. Temperature 1 is the default.
- {shape(settings, settings["layers"])}

## Held-out results

{rates["problems"]} problems of the {evaluation["split"]} split, drawn with seed {evaluation["seed"]}:

| | |
|---|---|
| greedy accuracy | {percent(rates["greedy_accuracy"])} |
| accuracy at temperature 1 | {percent(rates["sampled_accuracy"])} |
| pass@{samples} at temperature 1 | {percent(rates[f"pass_at_{samples}"])} |
| greedy accuracy of the same run at its end (the reward model's backbone) | {percent(evaluation["backbone"]["greedy_accuracy"])} |

## Data

{DATA}

## Recipe

{settings["policy_tokens"]:,} tokens of a {settings["lm_tokens"]:,}-token run: Muon for hidden matrices, AdamW for the rest,
constant rate up to here, loss on solutions only, a batch of {settings["lm_batch_tokens"]:,} tokens.
{compute_line(evaluation)}

## Limits

{LIMITS}
"""


def prm_card(evaluation: dict[str, Any]) -> str:
    """Return the reward model's model card."""
    settings, gate = evaluation["recipe"]["settings"], evaluation["gate"]
    layers = settings["layers"] + 3
    return f"""{front_matter("token-classification")}
# arithmetic-prm

A process reward model for `arithmetic-policy`: it rates each step of a solution as negative (wrong), neutral (right but
unneeded) or positive (right and needed).

- Input: question, `\\n`, then the steps, each ended by `\\n` (`stepnav_prm.json`). The rating is read at each step's `\\n`.
- {shape(settings, layers)}: the {settings["layers"]} layers of the finished language model and
  three above them, which compare each token with the prediction made for it (`train/graft.py`).

## Held-out results

Steps with nothing wrong before them, from the policy's own samples at temperature 1 on {evaluation["policy"]["problems"]}
problems of the {evaluation["split"]} split: {gate["num_steps"]:,} steps, {gate["num_first_errors"]:,} of them first errors.

| | measured | gate |
|---|---|---|
| first errors missed (not rated negative) | {percent(gate["misses"])} | at most 10% |
| right steps rejected (rated negative) | {percent(gate["false_rejections"])} | at most 5% |
| AUROC of P(negative) | {decimal(gate["auroc"])} | |

{class_table(gate)}

{baseline_table(gate)}

The reward model's own backbone solves {percent(evaluation["backbone"]["greedy_accuracy"])} of the same problems greedily, the
policy {percent(evaluation["policy"]["greedy_accuracy"])}: where the backbone itself can be used as the policy, it is the obvious
alternative to searching.

## Data

{DATA} The policy was sampled on training questions that the language model had not seen
({evaluation["recipe"]["sampled_solutions"]:,} solutions, temperatures {", ".join(map(str, settings["temperatures"]))});
an exact checker labelled {evaluation["recipe"]["labelled_steps"]:,} steps, up to the first wrong one of each solution.

## Recipe

{settings["prm_tokens"]:,} tokens. Labels are dense: every token of a right step carries its class, in a wrong step every
token from the first wrong character on.
{compute_line(evaluation)}

## Limits

{LIMITS} Steps after a first error were not trained on: their ratings mean nothing.
"""


def front_matter(pipeline: str) -> str:
    """Return the card's metadata block."""
    return f"---\nlicense: apache-2.0\nlanguage: en\nlibrary_name: transformers\npipeline_tag: {pipeline}\n---\n"


def shape(settings: dict[str, Any], layers: int) -> str:
    """Return the architecture in words."""
    return (
        f"Llama, {layers} layers, width {settings['width']}, {settings['heads']} heads, byte-level BPE with "
        f"{settings['vocab_size']} entries and single digits"
    )


def compute_line(evaluation: dict[str, Any]) -> str:
    """Return seed, compute and the command that makes the models again."""
    recipe = evaluation["recipe"]
    minutes = {part: spent["seconds"] / 60 for part, spent in recipe["compute"].items()}
    return (
        f"Seed {recipe['seed']}; {minutes['lm']:.0f} minutes for the language model and {minutes['prm']:.0f} for the reward "
        f"model on {recipe['device']}, one thread each.\n"
        f"Made again by `stepnav zoo train --out DIR --scale {recipe['scale']} --seed {recipe['seed']}`."
    )


def class_table(gate: dict[str, Any]) -> str:
    """Return precision and recall per class as a table."""
    names = {"-1": "negative", "0": "neutral", "1": "positive"}
    lines = ["| class | steps | precision | recall |", "|---|---|---|---|"]
    for rating, row in gate["classes"].items():
        lines.append(
            f"| {names[rating]} ({rating}) | {row['count']:,} | {percent(row['precision'])} | {percent(row['recall'])} |"
        )
    return "\n".join(lines)


def baseline_table(gate: dict[str, Any]) -> str:
    """Return the likelihood baselines as a table."""
    lines = [
        "| training-free baseline: lowest token log-probability under | AUROC | missed at 1% rejected | at 5% |",
        "|---|---|---|---|",
    ]
    for name, row in gate["likelihood_baselines"].items():
        at_1, at_5 = (percent(row[f"misses_at_{rate}_percent_rejections"]) for rate in (1, 5))
        lines.append(f"| the {name} | {decimal(row['auroc'])} | {at_1} | {at_5} |")
    return "\n".join(lines)
