"""One training step in eager PyTorch, as a process that is told when to step.

Usage: pytorch.py FOLDER    (`pip install torch numpy`)

FOLDER holds `case.json` and the parameters and the batch as little-endian float32 (labels int32), written by the
Swift side, so that both start alike. Commands come on standard input, one a line: `steps N` answers with the seconds
of N steps, as JSON; `loss` with the loss of the next step before its update.
"""

import peer
from peer import case

import numpy as np
import torch
import torch.nn.functional as F

torch.set_num_threads(case["threads"])


def read(name, shape, dtype=np.float32):
    return torch.from_numpy(peer.read(name, shape, dtype))


parameters = {
    name: read(name.replace("/", "_"), shape).requires_grad_() for name, shape in case["parameters"].items()
}
image = read("image", case["image"])
label = read("label", case["label"], np.int32).long()
target = F.one_hot(label, case["classes"]).float()
if case["label"][1] == 1:
    target = target[:, 0]


def cnn(x):
    p = parameters
    x = F.max_pool2d(F.relu(F.conv2d(x, p["conv1.weight"])), 2)
    x = F.relu(F.conv2d(x, p["conv2.weight"]))
    x = F.relu(x.flatten(1) @ p["dense1.weight"])
    x = F.relu(x @ p["dense2.weight"])
    return x @ p["output.weight"]


activation = {"tanh": torch.tanh, "sigmoid": torch.sigmoid}[case["activation"]]


def dense(name, x):
    return torch.addmm(parameters[f"{name}.bias"], x, parameters[f"{name}.weight"])


def convolution(name, x, stride=1):
    # Ours is [channels, 1, 1].
    bias = parameters[f"{name}.bias"].flatten()
    return F.conv2d(x, parameters[f"{name}.weight"], bias, stride=stride, padding=1)


def strided(x):
    x = F.relu(convolution("conv1", x))
    x = F.relu(convolution("conv2", x, stride=2))
    x = F.relu(convolution("conv3", x, stride=2))
    return dense("output", x.flatten(1))


def residual(x):
    x = F.max_pool2d(F.relu(convolution("stem", x)), 2)
    for index in (1, 2, 3):
        inner = F.relu(convolution(f"block{index}/conv1", x))
        x = F.relu(x + convolution(f"block{index}/conv2", inner))
    return dense("output", x.flatten(1))


def branching(x):
    encoder = torch.tanh(dense("encoder", x.flatten(1)))
    gate = torch.sigmoid(dense("gate", encoder))
    first = torch.tanh(dense("shared", encoder))
    mixed = gate * first + (1 - gate) * encoder
    second = torch.tanh(dense("shared", mixed))
    return dense("output", torch.cat([mixed, first * second], 1)), dense("auxiliary", encoder)


def mlp(x):
    x = x.flatten(1)
    layer = 1
    while f"hidden{layer}.weight" in parameters:
        x = activation(dense(f"hidden{layer}", x))
        layer += 1
    return dense("output", x)


class Recurrent(torch.nn.Module):
    """nn.RNN or nn.LSTM with our weights and a linear readout. Ours have one bias, so that of `hh` stays 0."""

    def __init__(self, kind, name, every_step):
        super().__init__()
        features, width = parameters[f"{name}.input"].shape
        self.every_step = every_step
        self.core = kind(features, parameters[f"{name}.recurrent"].shape[0], batch_first=True)
        self.head = torch.nn.Linear(*parameters["output.weight"].shape)
        with torch.no_grad():
            self.core.weight_ih_l0.copy_(parameters[f"{name}.input"].T)
            self.core.weight_hh_l0.copy_(parameters[f"{name}.recurrent"].T)
            self.core.bias_ih_l0.copy_(parameters[f"{name}.bias"])
            self.core.bias_hh_l0.zero_()
            self.head.weight.copy_(parameters["output.weight"].T)
            self.head.bias.copy_(parameters["output.bias"])

    def forward(self, x):
        states = self.core(x)[0]
        return self.head(states if self.every_step else states[:, -1])


if case["model"] in ("rnn", "lstm"):
    is_lstm = case["model"] == "lstm"
    model = Recurrent(torch.nn.LSTM if is_lstm else torch.nn.RNN, case["model"], every_step=is_lstm)
    named = dict(model.named_parameters())
    parameters = {}
    for name, value in named.items():
        if name != "core.bias_hh_l0":
            parameters[name] = value
    frozen = [named["core.bias_hh_l0"]]
else:
    model = {"cnn": cnn, "mlp": mlp, "strided": strided, "residual": residual, "branching": branching}[case["model"]]
    frozen = []
# For convolutions PyTorch is measured in whichever memory format is faster; the caller runs both.
if case.get("channelsLast"):
    image = image.contiguous(memory_format=torch.channels_last)
    for name, value in parameters.items():
        if value.dim() == 4:
            parameters[name] = value.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
optimizer = torch.optim.SGD(
    [{"params": list(parameters.values())}] + ([{"params": frozen, "lr": 0.0}] if frozen else []),
    lr=case["learningRate"])


def total_loss():
    heads = model(image)
    if isinstance(heads, tuple):
        # The model's second loss weighs 0.3.
        return 0.5 * ((heads[0] - target) ** 2).sum() + 0.15 * ((heads[1] - target) ** 2).sum()
    return 0.5 * ((heads - target) ** 2).sum()


def step():
    optimizer.zero_grad()
    loss = total_loss()
    loss.backward()
    optimizer.step()
    return loss


peer.serve(step, torch.no_grad()(total_loss))
