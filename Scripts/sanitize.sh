#!/usr/bin/env bash
# Runs the tests with a sanitizer, which ends the script with status 1 at its first finding:
#   Scripts/sanitize.sh thread|address [arguments of `swift test`]
# Tests that start `pcgraph` by the hundred are left out: it is built with the same sanitizer and starts slowly.
set -euo pipefail
cd "$(dirname "$0")/.."
sanitizer=${1:?thread or address}
shift
export TSAN_OPTIONS="halt_on_error=1 exitcode=66 ${TSAN_OPTIONS:-}"
# What lives until the process ends is no leak of ours; the Swift runtime keeps its metadata.
export ASAN_OPTIONS="detect_leaks=0 ${ASAN_OPTIONS:-}"
log=.build-$sanitizer.log
swift test -c release --sanitize="$sanitizer" --scratch-path ".build-$sanitizer" --skip PCCommandTests "$@" \
  >"$log" 2>&1 || { grep -aE "WARNING: ThreadSanitizer|ERROR: AddressSanitizer|SUMMARY|✘|error:" "$log" | head -40; tail -20 "$log"; exit 1; }
if grep -aE "WARNING: ThreadSanitizer|ERROR: AddressSanitizer" "$log"; then exit 1; fi
grep -aE "Test run with .* passed" "$log"
