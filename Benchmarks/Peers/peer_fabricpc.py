"""One training step of standard predictive coding in FabricPC (JAX), as a process that is told when to step.

Usage: peer_fabricpc.py FOLDER    (Python 3.11 or later, `pip install fabricpc`)

FOLDER and commands are those of pytorch.py. Nodes hold activities: z is predicted by f(z W + b), the output by z W + b.
The step is compiled as a whole, as FabricPC's `train` does: feedforward values, T steps of inference, gradients of the
parameters at the final values, and their optimizer. FabricPC divides gradients by the batch size; the learning rate of
SGD and Adam's ε make up for it.
"""

from functools import partial

import peer
from peer import case

peer.limit_cores()

import jax
import jax.numpy as jnp
import numpy as np
import optax
from fabricpc.core.activations import IdentityActivation, SigmoidActivation, TanhActivation
from fabricpc.core.inference import InferenceSGD, run_inference
from fabricpc.core.topology import Edge
from fabricpc.core.types import GraphParams, NodeParams
from fabricpc.graph_assembly import TaskMap, graph
from fabricpc.graph_initialization import initialize_params
from fabricpc.graph_initialization.state_initializer import FeedforwardStateInit, initialize_graph_state
from fabricpc.nodes import Linear
from fabricpc.training import pc_weight_gradients


def read(*arguments):
    return jnp.asarray(peer.read(*arguments))


batch = case["image"][0]
image = read("image", (batch, -1))
target = jax.nn.one_hot(read("label", case["label"], np.int32)[:, 0], case["classes"])
key = jax.random.PRNGKey(0)

activation = {"tanh": TanhActivation, "sigmoid": SigmoidActivation}[case["activation"]]()
names = peer.layer_names()
nodes = [Linear(shape=(image.shape[1],), name="image")]
for name in names:
    width = case["parameters"][f"{name}.bias"][0]
    nodes.append(Linear((width,), name, activation=IdentityActivation() if name == "output" else activation))
structure = graph(
    nodes=nodes,
    edges=[Edge(source=source, target=node.slot("in")) for source, node in zip(nodes, nodes[1:])],
    task_map=TaskMap(x=nodes[0], y=nodes[-1]),
    inference=InferenceSGD(eta_infer=case["rule"]["rate"], infer_steps=case["rule"]["steps"]),
    graph_state_initializer=FeedforwardStateInit(),
)


def initial_parameters():
    made = dict(initialize_params(structure, key).nodes)
    for name in names:
        (edge,) = made[name].weights
        weight = read(f"{name}.weight", case["parameters"][f"{name}.weight"])
        bias = read(f"{name}.bias", (1, -1))
        assert made[name].weights[edge].shape == weight.shape and made[name].biases["b"].shape == bias.shape
        made[name] = NodeParams(weights={edge: weight}, biases={"b": bias})
    return GraphParams(nodes=made)


if case["optimizer"] == "sgd":
    optimizer = optax.sgd(case["learningRate"] * batch)
else:
    optimizer = optax.adamw(case["learningRate"], eps=1e-8 / batch, weight_decay=0.01)
parameters = initial_parameters()
state = optimizer.init(parameters)


@partial(jax.jit, donate_argnums=(0, 1))
def step(parameters, state, image, target):
    clamps = {"image": image, "output": target}
    values = initialize_graph_state(structure, batch, key, clamps=clamps, params=parameters)
    values = run_inference(parameters, values, clamps, structure)
    gradients = pc_weight_gradients(parameters, values, structure, clamps)
    updates, state = optimizer.update(gradients, state, parameters)
    return optax.apply_updates(parameters, updates), state


@jax.jit
def loss(parameters, image, target):
    values = initialize_graph_state(structure, batch, key, clamps={"image": image}, params=parameters)
    return 0.5 * ((values.nodes["output"].z_mu - target) ** 2).sum()


def train():
    global parameters, state
    parameters, state = jax.block_until_ready(step(parameters, state, image, target))


peer.serve(train, lambda: loss(parameters, image, target))
