"""What all peers share: the case that they are given, and the loop that takes commands.

The first argument is a folder with `case.json` and arrays of little-endian numbers, written by the Swift side. Imported
before any library that starts threads, since it limits them.
"""

import json
import os
import pathlib
import sys
import time

folder = pathlib.Path(sys.argv[1])
case = json.loads((folder / "case.json").read_text())
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = str(case["threads"])

import numpy as np


def read(name, shape, dtype=np.float32):
    return np.fromfile(folder / f"{name}.bin", dtype=dtype).reshape(shape)


def limit_cores():
    """For XLA, which starts a thread for each core that it may use."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: case["threads"]])


def layer_names():
    """Of a multilayer perceptron, from the input on."""
    return [f"hidden{index}" for index in range(1, len(case["parameters"]) // 2)] + ["output"]


def serve(step, loss=None):
    """Answers `steps N` with the seconds of N steps and `loss` with the loss, as JSON, until the input ends."""
    for line in sys.stdin:
        words = line.split()
        if words[0] == "steps":
            seconds = []
            for _ in range(int(words[1])):
                start = time.perf_counter()
                step()
                seconds.append(time.perf_counter() - start)
            print(json.dumps(seconds), flush=True)
        elif words[0] == "loss" and loss:
            print(json.dumps([float(loss())]), flush=True)
