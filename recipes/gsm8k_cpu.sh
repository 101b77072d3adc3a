#!/usr/bin/env bash
# GSM8K with a small pretrained model on two cores, in about two hours: what a step reward buys a weak policy.
#
#   recipes/gsm8k_cpu.sh OUT
#
# Fine-tuning on a part of train; solutions of other train problems, their steps labelled by whether their results are those of a right
# solution (a weak policy seldom completes a prefix rightly, so that completions would buy little); a reward model on these and on
# the references; calibration; searches on test problems. Killed at any point and started again it goes on.
#
#   BASE, DATA   as in gsm8k_gpu.sh
#   SFT, DRAWN, DEV, PROBLEMS   problems to fine-tune on, to label, to calibrate on (of HELD_OUT ones), and of the test split
#   SVAMP        problems of SVAMP's test split, shorter ones, of which nothing is learnt either
#   BUDGETS, SVAMP_BUDGETS, STRATEGIES   of the searches
#   DTYPE, ONLY  default bfloat16; stages to run, by a pattern of their names
set -euo pipefail
[ $# -eq 1 ] || { sed -n '2,14s/^# \?//p' "$0"; exit 2; }
out=$1
here=$(cd "$(dirname "$0")" && pwd)
data=${DATA:-../shared/data}
export TOKENIZERS_PARALLELISM=false
mkdir -p "$out/done"
. "$here/stages.sh"

nav="python -m stepnav"
run=(--device cpu --dtype "${DTYPE:-bfloat16}")
learn=("${run[@]}" --epochs 1 --max-length 512 --save-every 50 --resume)
by=(--policy "$out/sft" --shots 0 --active "${ACTIVE:-128}" --resume "${run[@]}")
policy=(--task gsm8k "${by[@]}")
drawn=(--split train --solutions 4 --estimate outcome --temperature 0.7)

stage data python "$here/gsm8k_data.py" split "$data/gsm8k/train.jsonl.gz" "$out/data" "${HELD_OUT:-300}" "${SFT:-3200}"
stage sft $nav train sft --model "$BASE" --data "$out/data/train.jsonl" --learning-rate "${SFT_RATE:-1e-4}" --batch-size 16 \
  --out "$out/sft" "${learn[@]}"
stage rollouts $nav data rollouts "${policy[@]}" "${drawn[@]}" --data "$out/data/rest.jsonl" --problems "${DRAWN:-800}" --out "$out/rollouts"
stage rollouts-dev $nav data rollouts "${policy[@]}" "${drawn[@]}" --data "$out/data/dev.jsonl" --problems "${DEV:-150}" --out "$out/rollouts-dev"
stage labels python "$here/gsm8k_data.py" matched "$out/rollouts/rollouts.jsonl" "$out/data/rest.jsonl" "$out/steps.jsonl"
stage labels-dev python "$here/gsm8k_data.py" matched "$out/rollouts-dev/rollouts.jsonl" "$out/data/dev.jsonl" "$out/steps-dev.jsonl"
stage prm $nav train prm --model "$out/sft" --data "$out/steps.jsonl" --head two --learning-rate "${PRM_RATE:-5e-5}" --batch-size 8 \
  --out "$out/prm" "${learn[@]}"
stage calibrate calibrated "$out/prm" "$out/steps-dev.jsonl"
stage processbench $nav eval-prm --reward "$out/prm-calibrated" --data "$data/processbench/gsm8k.jsonl.gz" --out "$out/processbench" \
  --resume "${run[@]}"
bench() {  # NAME TASK DATA PROBLEMS BUDGETS
  stage "$1" $nav bench --task "$2" --data "$3" --split test --problems "$4" --budgets "$5" --reward "$out/prm-calibrated" --baseline cot --coverage \
    --strategies "${STRATEGIES:-cot,self_consistency,best_of_n,weighted_vote,hgs,nav}" "${by[@]}" --out "$out/$1"
}
bench svamp svamp "$data/svamp/test.jsonl.gz" "${SVAMP:-300}" "${SVAMP_BUDGETS:-192}"
bench gsm8k gsm8k "$data/gsm8k/test.jsonl.gz" "${PROBLEMS:-500}" "${BUDGETS:-384}"

{
  echo "# GSM8K with $(basename "$BASE") on two cores"
  if [ -e "$out/notes.md" ]; then printf '\n'; cat "$out/notes.md"; fi
  for part in svamp gsm8k processbench; do printf '\n'; sed 's/^#/##/' "$out/$part/report.md" 2>/dev/null || echo "$part: not run"; done
  seconds_table
} > "$out/report.md"
echo "Saved to $out/report.md"
