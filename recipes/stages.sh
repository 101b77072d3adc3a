# What the long recipes share: stages that are run once, and calibration. Needs $out, the folder of the run, and ONLY, a pattern of
# names; calibration needs $nav, the command, and run, the options of models.

stage() {  # NAME COMMAND...: run it unless it is done
  local name=$1; shift
  if [ -e "$out/done/$name" ] || [[ ! $name =~ ${ONLY:-.} ]]; then echo "$name: skipped"; return; fi
  echo "$name: begins at $(date +%T)"
  local began=$SECONDS
  "$@"
  printf '%s\t%d\n' "$name" $((SECONDS - began)) >> "$out/seconds.tsv"
  touch "$out/done/$name"
}

calibrated() {  # REWARD DATA: whole or not at all; a model that no temperature fits is used as it is, and that is said
  if [ -e "$1-calibrated" ]; then return; fi
  if $nav calibrate --reward "$1" --data "$2" --out "$1-calibrated" "${run[@]}" 2> "$1.calibrate.log"; then return; fi
  cat "$1.calibrate.log" >&2
  grep -q "no temperature" "$1.calibrate.log" || return 1
  echo "- $(basename "$1") is not calibrated: no temperature fits" >> "$out/notes.md"
  cp -r "$1" "$1-whole" && mv "$1-whole" "$1-calibrated"
}

seconds_table() {  # of each stage, in Markdown
  printf '\n## Seconds of each stage\n\n| stage | seconds |\n| --- | --- |\n'
  awk -F '\t' '{ print "| " $1 " | " $2 " |" }' "$out/seconds.tsv"
}
