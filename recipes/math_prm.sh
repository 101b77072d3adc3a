#!/usr/bin/env bash
# The set-up of Ma et al. 2023 for mathematics: LLaMA-7B fine-tuned on MATH, then on PRM800K's step labels.
#
#   recipes/math_prm.sh OUT [further options of both commands]
#
# Hardware: 8 GPUs of 80 GB; an estimate, not measured: half an hour for the first stage, two hours for the second.
# MODEL, SFT_DATA, PRM_DATA and LAUNCH can be set from outside; LAUNCH="python -m stepnav" runs one process.
set -euo pipefail
out=$1; shift
model=${MODEL:-huggyllama/llama-7b}
launch=${LAUNCH:-torchrun --standalone --nproc_per_node 8 -m stepnav}
$launch train sft --model "$model" --data "${SFT_DATA:-math/train.jsonl}" --out "$out/sft" --resume \
  --epochs 3 --learning-rate 2e-5 --batch-size 4 --accumulate 4 --max-length 1024 "$@"
$launch train prm --model "$out/sft" --data "${PRM_DATA:-prm800k/phase2_train.jsonl}" --out "$out/prm" --resume \
  --head three --epochs 2 --learning-rate 1e-5 --batch-size 2 --accumulate 8 --max-length 1536 --max-tree-tokens 4096 "$@"
