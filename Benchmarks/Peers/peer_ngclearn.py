"""One training step of standard predictive coding in ngc-learn (JAX), as a process that is told when to step.

Usage: peer_ngclearn.py FOLDER    (Python 3.11 or later, `pip install ngclearn`)

FOLDER and commands are those of pytorch.py. Cells hold pre-activations: z is predicted by f(z) W + b, where f of the
image is the image itself. The feedforward function and the products of a step are those of values that are activities;
values and gradients differ. Errors go back through synapses of their own, set to the transposed weights after each
update, as ngc-learn has it. It has Adam but not AdamW: nothing decays.

The step is compiled as a whole: feedforward values, T steps of all cells, Hebbian updates at the final values.
"""

import contextlib
import sys

import peer
from peer import case

peer.limit_cores()

import jax
import jax.numpy as jnp
import numpy as np
from ngclearn import Context, MethodProcess
from ngclearn.components import GaussianErrorCell, HebbianSynapse, RateCell, StaticSynapse
from ngcsimlib.global_state import stateManager


def read(*arguments):
    return jnp.asarray(peer.read(*arguments))


def given(values):
    return lambda shape, key: values


batch = case["image"][0]
image = read("image", (batch, -1))
target = jax.nn.one_hot(read("label", case["label"], np.int32)[:, 0], case["classes"])
steps, rate = case["rule"]["steps"], case["rule"]["rate"]
names = peer.layer_names()
shapes = [case["parameters"][f"{name}.weight"] for name in names]

# Its log goes to standard output, where answers belong.
with contextlib.redirect_stdout(sys.stderr), Context("network") as network:
    # Cell 0 is the image, the others move, and the last error cell's target is the label.
    cells = [
        RateCell(f"z{index}", shape[0], tau_m=0.0 if index == 0 else 1.0, batch_size=batch,
                 act_fx="identity" if index == 0 else case["activation"])
        for index, shape in enumerate(shapes)
    ]
    errors = [GaussianErrorCell(f"e{index}", shape[1], batch_size=batch) for index, shape in enumerate(shapes)]
    synapses, feedback = [], [None]
    for index, name in enumerate(names):
        weight, bias = read(f"{name}.weight", shapes[index]), read(f"{name}.bias", (1, -1))
        synapse = HebbianSynapse(
            f"W{index}", shapes[index], eta=case["learningRate"], w_bound=0.0, sign_value=-1.0, batch_size=batch,
            optim_type={"sgd": "sgd", "adamw": "adam"}[case["optimizer"]], weight_init=given(weight),
            bias_init=given(bias))
        synapses.append(synapse)
        cells[index].zF >> synapse.inputs
        synapse.outputs >> errors[index].mu
        cells[index].zF >> synapse.pre
        errors[index].dmu >> synapse.post
        if index > 0:
            feedback.append(
                StaticSynapse(f"E{index}", shapes[index][::-1], batch_size=batch, weight_init=given(weight.T)))
            errors[index].dmu >> feedback[index].inputs
            feedback[index].outputs >> cells[index].j
            errors[index - 1].dtarget >> cells[index].j_td
            cells[index].z >> errors[index - 1].target

    # Errors of the present values, and one step of all cells along the errors of the values before it.
    predict, advance, evolve = MethodProcess("predict"), MethodProcess("advance"), MethodProcess("evolve")
    for synapse in feedback[1:]:
        advance >> synapse.advance_state
    for cell in cells[1:]:
        advance >> cell.advance_state
    for process in (predict, advance):
        for part in synapses + errors:
            process >> part.advance_state
    for synapse in synapses:
        evolve >> synapse.evolve


def feedforward(state):
    """Cells start at their predictions."""
    value = active = image
    for index, (cell, synapse) in enumerate(zip(cells, synapses)):
        if index > 0:
            value, active = prediction, cell.fx(prediction)
        state |= {cell.z.root: value, cell.zF.root: active}
        prediction = active @ state[synapse.weights.root] + state[synapse.biases.root]
    return state | {errors[-1].target.root: target}, prediction


@jax.jit
def step(state):
    """What was learned, so that the compiler may drop what a step leaves behind in cells."""
    state, _ = predict.run.compiled(feedforward(state)[0], [1.0])
    state, _ = jax.lax.scan(lambda state, _: (advance.run.compiled(state, [rate])[0], None), state, length=steps)
    state, _ = evolve.run.compiled(state, [1.0])
    for synapse, back in zip(synapses[1:], feedback[1:]):
        state[back.weights.root] = state[synapse.weights.root].T
    return {key: state[key] for key in learned}


loss = jax.jit(lambda state: 0.5 * ((feedforward(state)[1] - target) ** 2).sum())
learned = [part.root for synapse in synapses for part in (synapse.weights, synapse.biases, synapse.opt_params)]
learned += [synapse.weights.root for synapse in feedback[1:]]
# Python's numbers become arrays now, lest the second step be compiled anew.
state = jax.tree.map(lambda value: jnp.asarray(value, jnp.result_type(value)), stateManager.state)


def train():
    global state
    state |= jax.block_until_ready(step(state))


peer.serve(train, lambda: loss(state))
