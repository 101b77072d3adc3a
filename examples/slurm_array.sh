#!/bin/bash
#SBATCH --job-name=stepnav
#SBATCH --array=1-8
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=4
#SBATCH --time=08:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#
# A comparison as an array of shards, one per task, and one run of them when all are done:
#
#   job=$(sbatch --parsable examples/slurm_array.sh runs/big --task gsm8k --data test.jsonl \
#     --policy ./my-model --reward ./my-prm --device cuda --dtype bfloat16)
#   sbatch --dependency=afterok:$job --wrap "stepnav merge runs/big/part-* --out runs/big/whole"
#
# A task that was killed or preempted and starts again goes on where it was. --array (on sbatch's
# command line too) says how many shards there are; start all of them: 1-N.
set -euo pipefail

runs=${1:?name the folder for the shards, then the options of stepnav bench}
shift
shard=${SLURM_ARRAY_TASK_ID:?this is a task of an array: sbatch --array=1-8 $0}
count=${SLURM_ARRAY_TASK_COUNT:-8}

exec stepnav bench --out "$runs/part-$shard" --shard "$shard/$count" --resume "$@"
