#!/usr/bin/env bash
# The engine on one GPU: equal to `generate`, how fast, against what; a reward model's scores; a training of 100 steps. Under ten
# minutes on an H100 (an estimate, not measured).
#
#   benchmarks/gpu.sh OUT [--small]
#
# Needs stepnav[local,train] with a torch built for CUDA (pip install torch takes one; check `python -c "import torch;
# print(torch.version.cuda)"`), and nothing from the network. SMOLLM2=FOLDER adds SmolLM2-135M (recipes/gguf_to_folder.py makes the
# folder). Each part is a process of its own with a limit in seconds, so that one that fails costs the others nothing; a part whose
# result is there is not run again. PATIENCE=N makes the limits N times as long. --small runs all of it on the CPU at small size.
set -uo pipefail
if [ $# -lt 1 ]; then echo "usage: benchmarks/gpu.sh OUT [--small]" >&2; exit 2; fi
out=$1; shift
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python}
models=(arithmetic ${SMOLLM2:+"$SMOLLM2"} llama-1b)
mkdir -p "$out"

part() {  # NAME LIMIT WORDS...
  local name=$1 limit=$2; shift 2
  if [ -s "$out/$name.json" ]; then echo "$name: there"; return; fi
  local began=$SECONDS
  timeout -k 10 $((limit * ${PATIENCE:-1})) "$python" "$here/gpu.py" "$@" --json "$out/$name.json" > "$out/$name.log" 2>&1
  local code=$?
  if [ $code -ne 0 ]; then printf '{"failed": "exit code %d; see %s.log"}\n' $code "$name" > "$out/$name.failed"; else rm -f "$out/$name.failed"; fi
  echo "$name: exit code $code, $((SECONDS - began)) s"
}

part machine 60 machine "$@"
for model in "${models[@]}"; do
  [ "$model" = llama-1b ] || part "equality-$(basename "$model")" 90 equality --model "$model" "$@"
done
for model in "${models[@]}"; do
  part "speed-$(basename "$model")" 100 speed --model "$model" "$@"
  part "others-$(basename "$model")" 80 others --model "$model" "$@"
done
part score 60 score ${SMOLLM2:+--model "$SMOLLM2"} "$@"
part train 120 train ${SMOLLM2:+--model "$SMOLLM2"} "$@"
"$python" "$here/gpu_report.py" "$out"
