#!/usr/bin/env python3
"""Counts the instructions of one training step by vertex, under callgrind.

Usage: Scripts/instruction-counts.py [OPTIONS OF pcgraph bench]
Example: Scripts/instruction-counts.py --model cnn --dataset cifar10 --data-dir D --rule fixed --steps 20

A profiled step reads the clock before and after each call of a kernel; callgrind writes its counts whenever that happens,
so that every call has a file of its own. Needs valgrind, which knows no AVX-512: the step runs with --isa avx2 on one
thread. Takes some minutes.
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

root = pathlib.Path(__file__).resolve().parent.parent
subprocess.run(
    ["swift", "build", "-c", "release", "--product", "pcgraph", "--package-path", root], check=True, stdout=sys.stderr)


def counts(dump):
    """Instructions in a dump."""
    total = re.search(r"^totals: (\d+)", dump.read_text(errors="replace"), re.M)
    return int(total.group(1)) if total else 0


with tempfile.TemporaryDirectory() as place:
    place = pathlib.Path(place)
    # Older valgrinds stumble over the debug information, and need none.
    subprocess.run(["strip", "--strip-debug", "-o", place / "pcgraph", root / ".build/release/pcgraph"], check=True)
    subprocess.run(
        ["valgrind", "--tool=callgrind", f"--callgrind-out-file={place}/out", "--dump-before=clock_gettime*", "--quiet",
         place / "pcgraph", "bench", *sys.argv[1:], "--isa", "avx2", "--threads", "1", "--count", "1",
         "--profile", place / "trace.json"],
        check=True, stdout=subprocess.DEVNULL)
    events = json.loads((place / "trace.json").read_text())["traceEvents"]
    events = sorted((e for e in events if e["ph"] == "X"), key=lambda e: e["ts"])
    dumps = sorted(place.glob("out.*"), key=lambda p: int(p.suffix[1:]))
    values = [counts(d) for d in dumps]

# The clock is read twice for each call, and elsewhere too. The calls' counts are those, in every second dump, that run
# along with the calls' durations.
durations = [e["dur"] for e in events]
length = 2 * len(events)


def likeness(start):
    instructions = values[start:start + length:2]
    size = sum(n * n for n in instructions) ** 0.5
    return sum(n * d for n, d in zip(instructions, durations)) / size if size else 0


start = max(range(len(values) - length + 1), key=likeness)
by_call = values[start:start + length:2]

table = {}
for event, instructions in zip(events, by_call):
    vertex, _, operation = event["name"].partition(": ")
    calls, sum_ = table.get((vertex, operation), (0, 0))
    table[vertex, operation] = (calls + 1, sum_ + instructions)
total = sum(n for _, n in table.values())
products = sum(n for (_, operation), (_, n) in table.items() if re.fullmatch(r"contract( \+ .*)?|convolve(, \w+ gradient)?", operation))
print("| vertex | operation | calls | million instructions | share |\n|---|---|---|---|---|")
for (vertex, operation), (calls, n) in sorted(table.items(), key=lambda entry: -entry[1][1]):
    if n >= 0.001 * total:
        print(f"| {vertex} | {operation} | {calls} | {n / 1e6:.2f} | {n / total:.1%} |")
print(f"\n{total / 1e6:.1f} million in all; neither product nor convolution: {1 - products / total:.1%}")
