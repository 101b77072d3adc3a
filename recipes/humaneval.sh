#!/usr/bin/env bash
# HumanEval with a real policy, the public tests of its docstrings as the reward.
#
#   recipes/humaneval.sh OUT MODEL DATA
#
# OUT    folder of runs; OUT/humaneval is the run, and goes on where it was killed
# MODEL  policy: a folder or a hub name
# DATA   HumanEval.jsonl.gz
# PROBLEMS and BUDGET can be set from outside.
#
# All strategies get the same budget of generated tokens. In bfloat16, so that trees depend on what
# shares the batch; float32 repeats to the bit.
set -euo pipefail
[ $# -eq 3 ] || { sed -n '2,13s/^# \?//p' "$0"; exit 2; }
stepnav bench --task humaneval --data "$3" --policy "$2" --dtype bfloat16 --reward execution \
  --strategies cot,best_of_n:samples=16:temperature=0.4,nav,hgs --budgets "${BUDGET:-2000}" --problems "${PROBLEMS:-164}" \
  --active 64 --coverage --out "$1/humaneval" --resume
