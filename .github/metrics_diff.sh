#!/usr/bin/env bash
# How the figures and params committed in HEAD differ from those of another commit, as Markdown:
#   .github/metrics_diff.sh HEAD^1
set -euo pipefail

section() {
  local title=$1 table
  shift
  table=$("$@")
  [ "$(wc -l <<<"$table")" -gt 2 ] || table="No change." # a table without rows has a head and a line under it
  printf '### %s\n\n%s\n\n' "$title" "$table"
}

section "Metrics" dvc metrics diff --md --precision 4 "$1" HEAD
section "Params" dvc params diff --md "$1" HEAD
