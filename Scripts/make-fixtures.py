#!/usr/bin/env python3
"""Writes Tests/PCLearningTests/Fixtures: losses, gradients and updates as PyTorch's autograd has them, in float64.

    pip install torch numpy
    python3 Scripts/make-fixtures.py

Weights and data come from one integer formula that the tests have too (`fixture_numbers`), so the files hold results
alone: losses, norms, and a few elements of each gradient.
"""

import json
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
FOLDER = pathlib.Path(__file__).resolve().parent.parent / "Tests/PCLearningTests/Fixtures"
MASK = np.uint64(0xFFFFFFFF)


def fixture_words(count, stream):
    """32-bit words: a multiplicative hash of the position and the number of the array."""
    x = (np.arange(count, dtype=np.uint64) + np.uint64(1 + 1000003 * stream)) * np.uint64(2654435761) & MASK
    x ^= x >> np.uint64(16)
    x = x * np.uint64(2246822519) & MASK
    return x ^ (x >> np.uint64(13))


def fixture_numbers(shape, stream, scale):
    """Uniform on [-scale, scale)."""
    words = fixture_words(int(np.prod(shape)), stream).astype(np.float64)
    return torch.from_numpy((scale * (words / 2.0**31 - 1)).reshape(shape))


def scale_of(extents):
    """√(3 / fan-in), which keeps the variance; 0.1 for biases."""
    if len(extents) == 2:
        return (3 / extents[0]) ** 0.5
    if len(extents) == 4:
        return (3 / (extents[1] * extents[2] * extents[3])) ** 0.5
    return 0.1


class Net:
    """Parameters by path, in the order in which the model asks for them."""

    def __init__(self):
        self.parameters = {}

    def __call__(self, name, extents):
        if name not in self.parameters:
            stream = 10 + len(self.parameters)
            self.parameters[name] = fixture_numbers(extents, stream, scale_of(extents)).requires_grad_()
        return self.parameters[name]


def convolution(net, name, x, filters, kernel, padding=0, bias=False):
    y = F.conv2d(x, net(f"{name}.weight", [filters, x.shape[1], kernel, kernel]), padding=padding)
    return y + net(f"{name}.bias", [filters, 1, 1]) if bias else y


def dense(net, name, x, units, bias=True):
    y = x @ net(f"{name}.weight", [x.shape[1], units])
    return y + net(f"{name}.bias", [units]) if bias else y


def cnn(net, image, classes):
    kernel, padding = (5, 0) if min(image.shape[2:]) >= 28 else (3, 1)
    x = F.relu(convolution(net, "conv1", image, 6, kernel, padding))
    x = F.max_pool2d(x, 2)
    x = F.relu(convolution(net, "conv2", x, 16, kernel, padding))
    x = x.flatten(1)
    x = F.relu(dense(net, "dense1", x, 200, bias=False))
    x = F.relu(dense(net, "dense2", x, 150, bias=False))
    return [(dense(net, "output", x, classes, bias=False), 1.0)]


def residual(net, image, classes):
    x = F.relu(convolution(net, "stem", image, 16, 3, 1, bias=True))
    x = F.max_pool2d(x, 2)
    for index in 1, 2, 3:
        inner = F.relu(convolution(net, f"block{index}/conv1", x, 16, 3, 1, bias=True))
        x = F.relu(x + convolution(net, f"block{index}/conv2", inner, 16, 3, 1, bias=True))
    return [(dense(net, "output", x.flatten(1), classes), 1.0)]


def branching(net, image, classes):
    encoder = torch.tanh(dense(net, "encoder", image.flatten(1), 64))
    gate = torch.sigmoid(dense(net, "gate", encoder, 64))
    first = torch.tanh(dense(net, "shared", encoder, 64))
    mixed = gate * first + (1 - gate) * encoder
    second = torch.tanh(dense(net, "shared", mixed, 64))
    output = dense(net, "output", torch.cat([mixed, first * second], 1), classes)
    return [(output, 1.0), (dense(net, "auxiliary", encoder, classes), 0.3)]


def mlp(net, image, classes):
    x = image.flatten(1)
    for index in 1, 2:
        x = torch.tanh(dense(net, f"hidden{index}", x, 512))
    return [(dense(net, "output", x, classes), 1.0)]


def model_fixture(build, shape, loss_name, batch=4, classes=10):
    net = Net()
    image = fixture_numbers([batch] + shape, 1, 1).requires_grad_()
    label = torch.from_numpy((fixture_words(batch, 2) % np.uint64(classes)).astype(np.int64))
    total = 0
    for output, weight in build(net, image, classes):
        if loss_name == "squared-error":
            total = total + weight * 0.5 * ((F.one_hot(label, classes) - output) ** 2).sum()
        else:
            total = total + weight * F.cross_entropy(output, label, reduction="sum")
    total.backward()

    def described(name, tensor, gradient):
        flat = gradient.flatten()
        places = sorted({int(w) % flat.numel() for w in fixture_words(24, 3)} | {0, flat.numel() - 1})
        return {
            "name": name,
            "extents": list(tensor.shape),
            "sum": tensor.sum().item(),
            "norm": flat.norm().item(),
            "entries": {str(k): flat[k].item() for k in places},
        }

    return {
        "model": build.__name__,
        "inputShape": shape,
        "loss": loss_name,
        "batchSize": batch,
        "totalLoss": total.item(),
        "labels": label.tolist(),
        "input": described("image", image, image.grad),
        "parameters": [described(name, p, p.grad) for name, p in net.parameters.items()],
    }


def optimizer_fixture():
    """Parameters after each of six updates of y = tanh(x·w + b) with squared error, full batch of four."""
    x, t = fixture_numbers([4, 3], 1, 1), fixture_numbers([4, 2], 2, 3)
    runs = []
    for name, make in {
        "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
        "momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
        "adam": lambda p: torch.optim.Adam(p, lr=0.03, betas=(0.8, 0.95), eps=1e-3),
        "nesterov": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
        "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.02, alpha=0.9, eps=1e-3),
        "adamw": lambda p: torch.optim.AdamW(p, lr=0.03, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.2),
    }.items():
        for clipping, limit in ("none", 0), ("value", 0.4), ("norm", 0.5):
            for reduction, scale in ("sum", 1), ("mean", 1 / 4):
                w = fixture_numbers([3, 2], 3, 1).requires_grad_()
                b = fixture_numbers([2], 4, 1).requires_grad_()
                optimizer = make([w, b])
                trajectory = []
                for _ in range(6):
                    optimizer.zero_grad()
                    (scale * 0.5 * ((torch.tanh(x @ w + b) - t) ** 2).sum()).backward()
                    if clipping == "value":
                        torch.nn.utils.clip_grad_value_([w, b], limit)
                    if clipping == "norm":
                        length = (w.grad.norm() ** 2 + b.grad.norm() ** 2) ** 0.5
                        for p in w, b:
                            p.grad *= min(1.0, limit / length.item())
                    optimizer.step()
                    trajectory.append(w.flatten().tolist() + b.tolist())
                runs.append(
                    {"optimizer": name, "clipping": clipping, "reduction": reduction, "trajectory": trajectory}
                )
    return runs


def training_fixture():
    """Six updates by AdamW where the bias has a tenth of the rate and no decay, the rates follow a cosine after a warm-up, and an
    exponential moving average of the weights is kept."""
    x, t = fixture_numbers([4, 3], 1, 1), fixture_numbers([4, 2], 2, 3)
    w = fixture_numbers([3, 2], 3, 1).requires_grad_()
    b = fixture_numbers([2], 4, 1).requires_grad_()
    groups = [{"params": [w]}, {"params": [b], "lr": 0.003, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=0.03, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.2)
    schedule = warm_up(optimizer, 2, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 4))
    holder = torch.nn.ParameterList([w, b])
    average = torch.optim.swa_utils.AveragedModel(
        holder, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.7)
    )
    trajectory, averages = [], []
    for _ in range(6):
        optimizer.zero_grad()
        (0.5 * ((torch.tanh(x @ w + b) - t) ** 2).sum()).backward()
        optimizer.step()
        schedule.step()
        average.update_parameters(holder)
        trajectory.append(w.flatten().tolist() + b.tolist())
        averages.append([v for p in average.module for v in p.flatten().tolist()])
    return {"trajectory": trajectory, "averages": averages}


def warm_up(optimizer, updates, then):
    first = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1 / updates, total_iters=updates - 1)
    return torch.optim.lr_scheduler.SequentialLR(optimizer, [first, then], milestones=[updates])


def schedule_fixture():
    """Learning rates of PyTorch's schedulers, relative to the optimiser's, before each of 24 updates; the plateau's after each
    of the losses that it is told."""
    schedulers = torch.optim.lr_scheduler

    def factors(make, count=24):
        parameter = torch.zeros(1, requires_grad=True)
        optimizer = torch.optim.SGD([parameter], lr=1.0)
        schedule = make(optimizer)
        found = []
        for _ in range(count):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        return found

    losses = [3, 2, 2.5, 2.1, 2.2, 1.9, 1.9, 1.9, 1.9, 1.8999, 1.7, 1.8, 1.8, 1.8, 1.8, 1.8, 1.8]
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    plateau = schedulers.ReduceLROnPlateau(optimizer, factor=0.5, patience=2)
    after = []
    for loss in losses:
        plateau.step(loss)
        after.append(optimizer.param_groups[0]["lr"])
    return {
        "step": factors(lambda o: schedulers.StepLR(o, 7, 0.3)),
        "cosine": factors(lambda o: schedulers.CosineAnnealingLR(o, 23, eta_min=0.05)),
        "one-cycle": factors(lambda o: schedulers.OneCycleLR(o, 1.0, total_steps=24), 23),
        "warm-up": factors(lambda o: warm_up(o, 5, schedulers.StepLR(o, 7, 0.3))),
        "losses": losses,
        "plateau": after,
    }


def recurrent_fixture(kind, layers, bidirectional, lengths, features=3, hidden=4, classes=3):
    """PyTorch's own nn.RNN (tanh or relu), nn.GRU or nn.LSTM (projected to 3 or not) over sequences of `lengths`, each run alone, with a head on the last output.

    Our weights are the transposes of PyTorch's; its second bias is 0 but for the GRU's candidate.
    """
    network, options = {
        "rnn": (torch.nn.RNN, {}),
        "relu": (torch.nn.RNN, {"nonlinearity": "relu"}),
        "gru": (torch.nn.GRU, {}),
        "lstm": (torch.nn.LSTM, {}),
        "projected": (torch.nn.LSTM, {"proj_size": 3}),
    }[kind]
    module = network(
        features, hidden, num_layers=layers, bidirectional=bidirectional, batch_first=True, **options
    )
    parts = {"rnn": 1, "relu": 1, "gru": 3, "lstm": 4, "projected": 4}[kind]
    state = options.get("proj_size", hidden)
    directions = ["", "_reverse"][: 2 if bidirectional else 1]
    parameters, stream = [], 10
    for layer in range(layers):
        width = features if layer == 0 else state * len(directions)
        for direction in directions:
            suffix, name = f"l{layer}{direction}", f"layer{layer}{direction}"
            with torch.no_grad():
                values = {
                    "input": fixture_numbers([width, parts * hidden], stream, 0.8),
                    "recurrent": fixture_numbers([state, parts * hidden], stream + 1, 0.8),
                    "bias": fixture_numbers([parts * hidden], stream + 2, 0.3),
                }
                getattr(module, f"weight_ih_{suffix}").copy_(values["input"].T)
                getattr(module, f"weight_hh_{suffix}").copy_(values["recurrent"].T)
                getattr(module, f"bias_ih_{suffix}").copy_(values["bias"])
                second = torch.zeros(parts * hidden)
                if kind == "gru":
                    second[2 * hidden :] = fixture_numbers([hidden], stream + 3, 0.3)
                getattr(module, f"bias_hh_{suffix}").copy_(second)
                if kind == "projected":
                    getattr(module, f"weight_hr_{suffix}").copy_(fixture_numbers([hidden, state], stream + 3, 0.8).T)
            parameters.append((name, suffix))
            stream += 4
    head = fixture_numbers([state * len(directions), classes], 5, 0.8).requires_grad_()
    length = max(lengths)
    x = fixture_numbers([len(lengths), length, features], 1, 1)
    label = torch.from_numpy((fixture_words(len(lengths), 2) % np.uint64(classes)).astype(np.int64))
    total = 0
    for example, own in enumerate(lengths):
        # Shorter sequences stand at the end of their row, behind the padding.
        output, _ = module(x[example : example + 1, length - own :])
        last = torch.cat([output[:, -1, :state]] + ([output[:, 0, state:]] if bidirectional else []), 1)
        total = total + F.cross_entropy(last @ head, label[example : example + 1], reduction="sum")
    total.backward()
    gradients = {"head.weight": head.grad.flatten().tolist()}
    for name, suffix in parameters:
        gradients[f"{name}.input"] = getattr(module, f"weight_ih_{suffix}").grad.T.flatten().tolist()
        gradients[f"{name}.recurrent"] = getattr(module, f"weight_hh_{suffix}").grad.T.flatten().tolist()
        gradients[f"{name}.bias"] = getattr(module, f"bias_ih_{suffix}").grad.tolist()
        if kind == "projected":
            gradients[f"{name}.projection"] = getattr(module, f"weight_hr_{suffix}").grad.T.flatten().tolist()
        if kind == "gru":
            gradients[f"{name}.candidate bias"] = getattr(module, f"bias_hh_{suffix}").grad[2 * hidden :].tolist()
    return {
        "kind": kind,
        "layers": layers,
        "isBidirectional": bidirectional,
        "lengths": lengths,
        "labels": label.tolist(),
        "totalLoss": total.item(),
        "gradients": gradients,
    }


def operation_fixtures():
    """½ Σ (f(x, w) − target)² of single operations, and single losses: their value and the gradients of x and w."""
    layer_norm = lambda x, w: F.layer_norm(x, x.shape[1:]) * w
    cases = {
        "log": ([3], None, lambda x, w: torch.log(x + 3)),
        "cos": ([3], None, lambda x, w: torch.cos(x)),
        "abs": ([3], None, lambda x, w: torch.abs(x)),
        "leaky relu": ([3], None, lambda x, w: F.leaky_relu(x, 0.2)),
        "elu": ([3], None, lambda x, w: F.elu(x, 0.7)),
        "gelu": ([3], None, lambda x, w: F.gelu(x)),
        "gelu by tanh": ([3], None, lambda x, w: F.gelu(x, approximate="tanh")),
        "silu": ([3], None, lambda x, w: F.silu(x)),
        "softplus": ([3], None, lambda x, w: F.softplus(x)),
        "power": ([3], None, lambda x, w: (x + 3) ** 1.7),
        "general power": ([3], [3], lambda x, w: (x + 3) ** w),
        "maximum": ([3], [3], lambda x, w: torch.maximum(x, w)),
        "minimum": ([3], [3], lambda x, w: torch.minimum(x, w)),
        "clip": ([5], None, lambda x, w: torch.clamp(x, -0.5, 0.75)),
        "softmax": ([2, 4], None, lambda x, w: torch.softmax(x, 1)),
        "log softmax": ([2, 4], None, lambda x, w: torch.log_softmax(x, 2)),
        "cumulative sum": ([5, 2], None, lambda x, w: torch.cumsum(x, 1)),
        "pad": ([2, 3], None, lambda x, w: F.pad(x, (1, 2))),
        "largest": ([2, 4], None, lambda x, w: torch.amax(x, 2)),
        "batched matmul": ([3, 2, 4], None, lambda x, w: x @ x.transpose(2, 3)),
        "dilated convolution": ([2, 6, 5], [3, 2, 3, 2], lambda x, w: F.conv2d(x, w, padding=2, dilation=2)),
        "grouped convolution": ([4, 5, 5], [6, 2, 3, 3], lambda x, w: F.conv2d(x, w, stride=2, padding=1, groups=2)),
        "transposed convolution": (
            [4, 3, 4],
            [4, 3, 3, 3],
            lambda x, w: F.conv_transpose2d(x, w, stride=2, padding=1, output_padding=1, groups=2, dilation=2),
        ),
        "average pool": ([2, 5, 4], None, lambda x, w: F.avg_pool2d(x, 3, 2, 1)),
        "global average pool": ([2, 3, 4], None, lambda x, w: x.mean((2, 3))),
        "layer norm": ([5], [5], layer_norm),
        "group norm": ([4, 3, 2], [4, 1, 1], lambda x, w: F.group_norm(x, 2) * w),
        "rms norm": ([2, 5], [5], lambda x, w: F.rms_norm(x, [5], eps=1e-5) * w),
    }
    results = []
    for name, (shape, extents, function) in cases.items():
        x = fixture_numbers([2] + shape, 1, 2).requires_grad_()
        w = fixture_numbers(extents, 2, 1).requires_grad_() if extents else None
        y = function(x, w)
        loss = 0.5 * ((y - fixture_numbers(list(y.shape), 3, 1)) ** 2).sum()
        loss.backward()
        results.append(
            {
                "name": name,
                "loss": loss.item(),
                "x": x.grad.flatten().tolist(),
                "w": w.grad.flatten().tolist() if extents else [],
            }
        )
    x = fixture_numbers([2, 4], 1, 2)
    t = fixture_numbers([2, 4], 3, 1)
    soft = t.abs() / t.abs().sum(1, keepdim=True)
    losses = {
        "huber": lambda x: F.huber_loss(x, t, reduction="sum", delta=0.6),
        "binary cross-entropy": lambda x: F.binary_cross_entropy_with_logits(x, (1 + t) / 2, reduction="sum"),
        "label smoothing": lambda x: F.cross_entropy(x, torch.tensor([2, 0]), reduction="sum", label_smoothing=0.1),
        "soft labels": lambda x: F.cross_entropy(x, soft, reduction="sum"),
    }
    for name, function in losses.items():
        point = x.clone().requires_grad_()
        loss = function(point)
        loss.backward()
        results.append({"name": name, "loss": loss.item(), "x": point.grad.flatten().tolist(), "w": []})
    return results


def batch_normalisation_fixture():
    """Three SGD updates of convolution, batch normalisation and relu, each on a batch of its own; then without training."""
    w = fixture_numbers([3, 2, 3, 3], 1, 0.5).requires_grad_()
    norm = torch.nn.BatchNorm2d(3, eps=1e-3, momentum=0.3).double()
    with torch.no_grad():
        norm.weight.copy_(1 + fixture_numbers([3], 2, 0.5))
        norm.bias.copy_(fixture_numbers([3], 3, 0.5))

    def output(x):
        return F.relu(norm(F.conv2d(x, w, padding=1)))

    optimizer = torch.optim.SGD([w, *norm.parameters()], lr=0.01)
    trajectory = []
    for update in range(3):
        y = output(fixture_numbers([4, 2, 4, 4], 10 + update, 2))
        optimizer.zero_grad()
        (0.5 * ((y - fixture_numbers([4, 3, 4, 4], 20 + update, 1)) ** 2).sum()).backward()
        optimizer.step()
        arrays = [w, norm.weight, norm.bias, norm.running_mean, norm.running_var]
        trajectory.append([number for array in arrays for number in array.detach().flatten().tolist()])
    norm.eval()
    with torch.no_grad():
        outside = output(fixture_numbers([4, 2, 4, 4], 10, 2)).flatten().tolist()
    return {"trajectory": trajectory, "outside": outside}


def write(name, content):
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(content, indent=1) + "\n")
    print(path.relative_to(FOLDER.parent.parent.parent), path.stat().st_size, "bytes")


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    digits, paper = [1, 8, 8], [3, 32, 32]
    for build, shape, loss in [
        (cnn, digits, "squared-error"),
        (cnn, digits, "cross-entropy"),
        (cnn, paper, "squared-error"),
        (branching, digits, "cross-entropy"),
        (branching, digits, "squared-error"),
        (residual, digits, "cross-entropy"),
        (mlp, digits, "cross-entropy"),
    ]:
        size = "paper" if shape == paper else "digits"
        write(f"{build.__name__}-{size}-{loss}", model_fixture(build, shape, loss))
    write("optimizers", optimizer_fixture())
    write("operations", operation_fixtures())
    write("schedules", schedule_fixture())
    write("grouped-training", training_fixture())
    write("batch-normalisation", batch_normalisation_fixture())
    write(
        "recurrent",
        [
            recurrent_fixture(kind, layers, bidirectional, lengths)
            for kind in ("rnn", "relu", "gru", "lstm", "projected")
            for layers, bidirectional in ((1, False), (2, False), (1, True), (2, True))
            for lengths in ([5, 5], [5, 2, 4])
        ],
    )
