"""One training step of standard predictive coding in Deepity (C++), as a process that is told when to step.

Usage: peer_deepity.py FOLDER    (Python 3.11 or later, `pip install pydeepity numpy`)

FOLDER and commands are those of pytorch.py. Deepity differs from ours in this:
- Layers hold pre-activations: z is predicted by f(z) W + b, where f of the image is the image itself. The feedforward
  function and the products of a step are those of values that are activities; values and gradients differ.
- Parameters learn from the errors from which the last inference step was made, not from those after it.
- SGD divides gradients by the batch size, for which the learning rate makes up; AdamW does not decay biases.

Its classes for Python apply a layer's activation to what enters the layer, the image included, so that layers are added
here one by one. `train_step_with_projection` is its fastest step: all of it in C++, without energies.
"""

import os

# Its threads spin while they wait; not bound to cores, whole runs on a shared machine took up to twenty times as long.
os.environ.setdefault("OMP_PROC_BIND", "true")

import peer
import numpy as np
from deepity import dy
from peer import case, read

batch = case["image"][0]
image = read("image", -1)
label = read("label", case["label"], np.int32)[:, 0]
target = np.eye(case["classes"], dtype=np.float32)[label]
names = peer.layer_names()

network = dy.SimplePCNetwork(batch, "cpu")
activations = ["linear"] + [case["activation"]] * (len(names) - 1) + ["linear"]
widths = [case["parameters"][f"{name}.weight"][0] for name in names] + [case["classes"]]
for width, above, activation in zip(widths, widths[1:] + [0], activations):
    is_sgd = case["optimizer"] == "sgd"
    network.add_layer(
        width, above, lr=case["learningRate"] * (batch if is_sgd else 1), ir=case["rule"]["rate"],
        lmbda=0.0 if is_sgd else 0.01, activation=activation, activation_deriv="d" + activation,
    )
network.set_optimizer(case["optimizer"].upper())
network.compile()
for layer, name in zip(network.layers, names):
    weight = read(f"{name}.weight", case["parameters"][f"{name}.weight"])
    layer.set_weights(np.ascontiguousarray(weight.T).ravel())
    layer.set_biases(read(f"{name}.bias", -1))


def loss():
    network.reset_state()
    network.clamp_input(image)
    network.project_forward()
    output = np.array(network.layers[-1].beliefs).reshape(batch, -1)
    return 0.5 * ((output - target) ** 2).sum()


def train():
    network.train_step_with_projection(image, target.ravel(), case["rule"]["steps"], computeEnergy=False)


peer.serve(train, loss)
