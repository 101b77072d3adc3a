#!/usr/bin/env bash
# The set-up of Ma et al. 2023 for code: Code-LLaMA and step labels from mutation testing of MBPP (ids 511-974).
#
#   recipes/code_prm.sh OUT [further options of the training]
#
# Hardware: 2 cores and 22 minutes for the data (docs/mutation-data.md); 4 GPUs of 80 GB for the training, an estimate of an hour.
# MODEL, MBPP and LAUNCH can be set from outside.
set -euo pipefail
out=$1; shift
launch=${LAUNCH:-torchrun --standalone --nproc_per_node 4 -m stepnav}
python -m stepnav data mutate --task mbpp ${MBPP:+--data "$MBPP"} ${IDS:+--ids "$IDS"} --resume --out "$out/mutants" --decoys 4 --second-order 4
$launch train prm --model "${MODEL:-codellama/CodeLlama-7b-hf}" --data "$out/mutants/train.jsonl" --out "$out/prm" --resume \
  --head three --epochs 2 --learning-rate 1e-5 --batch-size 4 --accumulate 4 --max-length 1024 "$@"
