#!/usr/bin/env bash
# A small real run: SmolLM2-135M-Instruct on a part of MATH, then on a part of PRM800K phase 1, the same from the raw
# base, an outcome model and an untrained head, and all of them measured.
#
#   recipes/smollm2_prm.sh OUT
#
# Hardware: two cores and 12 GB; on one core each PRM takes an hour and a half, all else as long again.
# PROBLEMS=888 makes it the whole phase 1; EVAL=N evaluates on N problems instead of all.
# BASE is a folder made by recipes/gguf_to_folder.py; DATA the folder of the benchmark files.
set -euo pipefail
out=$1
data=${DATA:-../shared/data}
problems=${PROBLEMS:-400}
evaluated=(${EVAL:+--problems "$EVAL"})
prm=$data/prm800k/phase1_train.jsonl.gz
common=(--epochs 1 --batch-size 2 --learning-rate 5e-5 --dtype bfloat16 --save-every 20 --max-length 640 --max-tree-tokens 1024 --resume ${EXTRA:-})
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
python -m stepnav train sft --model "$BASE" --data "$data/math/train12k.jsonl.gz" --problems "${PAIRS:-500}" --max-length 400 \
  --epochs 1 --batch-size 8 --learning-rate 5e-5 --dtype bfloat16 --save-every 30 --resume ${EXTRA:-} --out "$out/sft"
python -m stepnav train prm --model "$out/sft" --data "$prm" --problems "$problems" --out "$out/prm-sft" "${common[@]}"
python -m stepnav train prm --model "$BASE" --data "$prm" --problems "$problems" --out "$out/prm-raw" "${common[@]}"
python -m stepnav train orm --model "$out/sft" --data "$prm" --problems "${ORM_PROBLEMS:-200}" --out "$out/orm" "${common[@]}"
python -m stepnav train prm --model "$out/sft" --data "$prm" --problems 1 --max-steps 1 --learning-rate 0 --batch-size 1 --save-every 0 \
  --max-length 640 --resume --out "$out/untrained" $(sed 's/--max-steps [0-9]*//' <<< "${EXTRA:-}")
for model in prm-sft prm-raw orm untrained; do
  python -m stepnav eval-prm --reward "$out/$model" --data "$data/processbench/gsm8k.jsonl.gz" "${evaluated[@]}" \
    --dtype bfloat16 --max-batch 16 --resume --out "$out/eval/$model-processbench"
  python -m stepnav eval-prm --reward "$out/$model" --data "$data/prm800k/phase1_test.jsonl.gz" "${evaluated[@]}" \
    --dtype bfloat16 --max-batch 16 --resume --out "$out/eval/$model-phase1"
done
for model in sft prm-sft prm-raw orm; do
  cp "$out/$model/training_report.json" "$out/eval/$model-training.json"  # for benchmarks/publish.py
done
