#!/usr/bin/env bash
# Checks the format of every Swift file by the configuration in the root; `lint.sh --fix` mends what it can.
set -euo pipefail
cd "$(dirname "$0")/.."
paths=(Package.swift Sources Tests Benchmarks Examples)
existing=()
for path in "${paths[@]}"; do [ -e "$path" ] && existing+=("$path"); done
if [ "${1:-}" = "--fix" ]; then
  swift format --in-place --recursive --parallel "${existing[@]}"
else
  swift format lint --strict --recursive --parallel "${existing[@]}"
fi
