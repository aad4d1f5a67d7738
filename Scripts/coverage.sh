#!/usr/bin/env bash
# Runs the tests with coverage counters and prints the share of lines that they reach, by module.
set -euo pipefail
cd "$(dirname "$0")/.."
swift test -c release --enable-code-coverage --scratch-path .build-coverage >.build-coverage.log 2>&1 ||
  { tail -40 .build-coverage.log; exit 1; }
tail -1 .build-coverage.log
python3 - "$(swift test -c release --scratch-path .build-coverage --show-codecov-path)" <<'PYTHON'
import collections, json, pathlib, sys

lines = collections.defaultdict(lambda: [0, 0])
for file in json.load(open(sys.argv[1]))["data"][0]["files"]:
    parts = pathlib.Path(file["filename"]).parts
    if "Sources" in parts and ".build-coverage" not in parts:
        summary = file["summary"]["lines"]
        for key in (parts[parts.index("Sources") + 1], "all"):
            lines[key][0] += summary["covered"]
            lines[key][1] += summary["count"]
for module, (covered, count) in sorted(lines.items()):
    print(f"{module:20} {covered:6} of {count:6} lines  {100 * covered / max(count, 1):5.1f} %")
PYTHON
