#!/usr/bin/env bash
# Compare the metrics and params committed in HEAD with those of another commit, as Markdown:
#   .github/metrics_diff.sh HEAD^1
set -euo pipefail

section() {
  local title=$1 table
  shift
  table=$("$@")
  [ "$(wc -l <<<"$table")" -gt 2 ] || table="No change." # an empty table has a header and a rule
  printf '### %s\n\n%s\n\n' "$title" "$table"
}

section "Metrics" dvc metrics diff --md --precision 4 "$1" HEAD
section "Params" dvc params diff --md "$1" HEAD
