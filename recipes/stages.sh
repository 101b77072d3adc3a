# What the long recipes share: stages that are run once. Needs $out, the folder of the run, and ONLY, a pattern of names.

stage() {  # NAME COMMAND...: run it unless it is done
  local name=$1; shift
  if [ -e "$out/done/$name" ] || [[ ! $name =~ ${ONLY:-.} ]]; then echo "$name: skipped"; return; fi
  echo "$name: begins at $(date +%T)"
  local began=$SECONDS
  "$@"
  printf '%s\t%d\n' "$name" $((SECONDS - began)) >> "$out/seconds.tsv"
  touch "$out/done/$name"
}

seconds_table() {  # of each stage, in Markdown
  printf '\n## Seconds of each stage\n\n| stage | seconds |\n| --- | --- |\n'
  awk -F '\t' '{ print "| " $1 " | " $2 " |" }' "$out/seconds.tsv"
}
