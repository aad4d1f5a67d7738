#!/usr/bin/env bash
# Runs the tests with coverage counters and prints the share of lines that they reach, by module.
set -euo pipefail
cd "$(dirname "$0")/.."
build=.build-coverage/$(uname -m)-unknown-linux-gnu/release
tools=$(dirname "$(readlink -f "$(command -v swift)")")
rm -rf "$build/codecov"
# Tests that kill processes leave a damaged counter file, for which `swift test` fails after all tests have passed: so the
# verdict is the closing line, and the files are merged here.
swift test -c release --enable-code-coverage --scratch-path .build-coverage >.build-coverage.log 2>&1 || true
grep -E "Test run with .* passed" .build-coverage.log || { tail -40 .build-coverage.log; exit 1; }
"$tools/llvm-profdata" merge -sparse --failure-mode=all "$build"/codecov/*.profraw -o "$build/codecov/all.profdata" 2>/dev/null
"$tools/llvm-cov" export -summary-only "$build/swift-predictive-codingPackageTests.xctest" \
  -instr-profile "$build/codecov/all.profdata" >"$build/codecov/summary.json" 2>/dev/null
python3 - "$build/codecov/summary.json" <<'PYTHON'
import collections, json, pathlib, sys

lines = collections.defaultdict(lambda: [0, 0])
for file in json.load(open(sys.argv[1]))["data"][0]["files"]:
    parts = pathlib.Path(file["filename"]).parts
    if "Sources" in parts and "checkouts" not in parts:
        summary = file["summary"]["lines"]
        for key in (parts[parts.index("Sources") + 1], "all"):
            lines[key][0] += summary["covered"]
            lines[key][1] += summary["count"]
for module, (covered, count) in sorted(lines.items()):
    print(f"{module:20} {covered:6} of {count:6} lines  {100 * covered / max(count, 1):5.1f} %")
PYTHON
