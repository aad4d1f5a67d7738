"""One training step in eager PyTorch, as a process that is told when to step.

Usage: pytorch.py FOLDER    (`pip install torch numpy`)

FOLDER holds `case.json` and the parameters and the batch as little-endian float32 (labels int32), written by the
Swift side, so that both start alike. Commands come on standard input, one a line: `steps N` answers with the seconds
of N steps, as JSON; `loss` with the loss of the next step before its update.
"""

import json
import pathlib
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

folder = pathlib.Path(sys.argv[1])
case = json.loads((folder / "case.json").read_text())
torch.set_num_threads(case["threads"])


def read(name, shape, dtype=np.float32):
    return torch.from_numpy(np.fromfile(folder / f"{name}.bin", dtype=dtype).reshape(shape).copy())


parameters = {
    name: read(name.replace("/", "_"), shape).requires_grad_() for name, shape in case["parameters"].items()
}
image = read("image", case["image"])
label = read("label", [case["image"][0]], np.int32).long()
target = F.one_hot(label, case["classes"]).float()


def cnn(x):
    p = parameters
    x = F.max_pool2d(F.relu(F.conv2d(x, p["conv1.weight"])), 2)
    x = F.relu(F.conv2d(x, p["conv2.weight"]))
    x = F.relu(x.flatten(1) @ p["dense1.weight"])
    x = F.relu(x @ p["dense2.weight"])
    return x @ p["output.weight"]


def mlp(x):
    x = x.flatten(1)
    layer = 1
    while f"hidden{layer}.weight" in parameters:
        x = torch.tanh(x @ parameters[f"hidden{layer}.weight"] + parameters[f"hidden{layer}.bias"])
        layer += 1
    return x @ parameters["output.weight"] + parameters["output.bias"]


model = {"cnn": cnn, "mlp": mlp}[case["model"]]
# For convolutions PyTorch is measured in whichever memory format is faster; the caller runs both.
if case.get("channelsLast"):
    image = image.contiguous(memory_format=torch.channels_last)
    for name, value in parameters.items():
        if value.dim() == 4:
            parameters[name] = value.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
optimizer = torch.optim.SGD(list(parameters.values()), lr=case["learningRate"])


def step():
    optimizer.zero_grad()
    loss = 0.5 * ((model(image) - target) ** 2).sum()
    loss.backward()
    optimizer.step()
    return loss


for line in sys.stdin:
    words = line.split()
    if words[0] == "steps":
        seconds = []
        for _ in range(int(words[1])):
            start = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - start)
        print(json.dumps(seconds), flush=True)
    elif words[0] == "loss":
        with torch.no_grad():
            print(json.dumps([float(0.5 * ((model(image) - target) ** 2).sum())]), flush=True)
