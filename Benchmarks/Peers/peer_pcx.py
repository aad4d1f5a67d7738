"""One training step of standard predictive coding in PCX (JAX), as a process that is told when to step.

Usage: peer_pcx.py FOLDER    (Python 3.11 or later, `pip install jax equinox optax numpy`, then
                              `pip install --no-deps pcx==0.6.3`)

PCX asks for a JAX before 0.5; it runs unchanged on newer ones, which are faster.

FOLDER and commands are those of pytorch.py. Value nodes hold activities: v is predicted by f(v W + b), the output by
v W + b. The step is compiled as a whole: feedforward values, T steps of SGD on the value nodes, gradients of the
parameters at the final values, and their optimizer.
"""

import peer
from peer import case

peer.limit_cores()

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pcx
import pcx.functional as pxf
import pcx.nn as pxnn
import pcx.predictive_coding as pxc
import pcx.utils as pxu


def read(*arguments):
    return jnp.asarray(peer.read(*arguments))


names = peer.layer_names()
image = read("image", (case["image"][0], -1))
target = jax.nn.one_hot(read("label", case["label"], np.int32)[:, 0], case["classes"])
steps, rate = case["rule"]["steps"], case["rule"]["rate"]


class Network(pxc.EnergyModule):
    """A value node after each layer; the last one is clamped to the target."""

    def __init__(self):
        super().__init__()
        self.activation = pcx.static({"tanh": jnp.tanh, "sigmoid": jax.nn.sigmoid}[case["activation"]])
        self.layers, self.vodes = [], []
        for name in names:
            shape = case["parameters"][f"{name}.weight"]
            layer = pxnn.Linear(*shape)
            layer.nn.weight.set(read(f"{name}.weight", shape).T)
            layer.nn.bias.set(read(f"{name}.bias", shape[1:]))
            self.layers.append(layer)
            self.vodes.append(pxc.Vode())
        self.vodes[-1].h.frozen = True

    def __call__(self, x, y=None):
        for layer, vode in zip(self.layers[:-1], self.vodes):
            x = vode(self.activation(layer(x)))
        self.vodes[-1](self.layers[-1](x))
        if y is not None:
            self.vodes[-1].set("h", y)
        return self.vodes[-1].get("u")


of_example = pxu.M(pxc.VodeParam | pxc.VodeParam.Cache).to((None, 0))
forward = pxf.vmap(of_example, in_axes=(0, 0), out_axes=0)(lambda x, y, *, model: model(x, y))


@pxf.vmap(of_example, in_axes=(0,), out_axes=None, axis_name="batch")
def energy(x, *, model):
    model(x)
    return jax.lax.psum(model.energy(), "batch")


def free_values():
    return pxu.M_hasnot(pxc.VodeParam, frozen=True)


value_gradient = pxf.value_and_grad(free_values().to([False, True]))(energy)
parameter_gradient = pxf.value_and_grad(pxu.M(pxnn.LayerParam).to([False, True]))(energy)


@pxf.jit(donate_argnames=("model", "optimizer"))
def step(x, y, *, model, value_optimizer, optimizer):
    def infer(_, *, model, value_optimizer):
        with pxu.step(model, clear_params=pxc.VodeParam.Cache):
            gradients = value_gradient(x, model=model)[1]
        value_optimizer.step(model, gradients["model"])
        return (), None

    with pxu.step(model, (pxc.STATUS.INIT, None), clear_params=pxc.VodeParam.Cache):
        forward(x, y, model=model)
    pxf.scan(infer, length=steps)(model=model, value_optimizer=value_optimizer)
    with pxu.step(model, clear_params=pxc.VodeParam.Cache):
        gradients = parameter_gradient(x, model=model)[1]
    optimizer.step(model, gradients["model"])


@pxf.jit()
def loss(x, y, *, model):
    with pxu.step(model, (pxc.STATUS.INIT, None), clear_params=pxc.VodeParam.Cache):
        return 0.5 * ((forward(x, y, model=model) - y) ** 2).sum()


model = Network()
rule = {"sgd": optax.sgd, "adamw": lambda rate: optax.adamw(rate, weight_decay=0.01)}[case["optimizer"]]
optimizer = pxu.Optim(lambda: rule(case["learningRate"]), pxu.M(pxnn.LayerParam)(model))
value_optimizer = pxu.Optim(lambda: optax.sgd(rate), free_values()(model))
# The values' arrays must be there before the first step.
loss(image, target, model=model)



def train():
    step(image, target, model=model, value_optimizer=value_optimizer, optimizer=optimizer)
    jax.block_until_ready([layer.nn.weight.get() for layer in model.layers])


peer.serve(train, lambda: loss(image, target, model=model))
