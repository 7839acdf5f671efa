import keras
import numpy as np
import pytest
import tensorflow as tf

from common.training.muon import Muon


def moved(shape, gradient, **arguments):
    """How a kernel of zeros moves in a first step."""
    variable = keras.Variable(np.zeros(shape, np.float32), name="kernel")
    Muon(**arguments).apply([tf.constant(gradient)], [variable])
    return variable.numpy()


@pytest.mark.parametrize("shape", [(3, 3, 8, 16), (3, 64, 8), (20, 12), (12, 20)])
def test_a_kernel_moves_by_about_an_orthogonal_matrix(rng, shape):
    gradient = rng.normal(size=shape).astype(np.float32)
    step = moved(shape, gradient, learning_rate=0.1).reshape(-1, shape[-1])
    left, _, right = np.linalg.svd(gradient.reshape(-1, shape[-1]), full_matrices=False)
    # Steps are scaled to AdamW's, a mean square of about 0.2: by 0.2 times the root of the longer side.
    singular = np.diag(left.T @ -step @ right.T) / (0.1 * 0.2 * np.sqrt(max(step.shape)))
    # Five Newton-Schulz iterations leave singular values within about a third of 1.
    assert (singular > 0.6).all() and (singular < 1.3).all()


def test_matrices_move_as_keras_moves_them(rng):
    gradients = [rng.normal(size=(6, 10)).astype(np.float32) for _ in range(3)]
    variables = []
    for kind in (Muon, keras.optimizers.Muon):
        variable = keras.Variable(np.ones((6, 10), np.float32), name="kernel")
        optimizer = kind(0.01, weight_decay=0.1)
        for gradient in gradients:
            optimizer.apply([tf.constant(gradient)], [variable])
        variables.append(variable.numpy())
    np.testing.assert_allclose(*variables, atol=1e-6)


@pytest.mark.parametrize("shape", [(7,), (3, 3, 5, 1)])
def test_what_is_no_matrix_moves_as_adam_moves_it(rng, shape):
    """A depthwise kernel has one output for each input: as a matrix it would be a single direction."""
    gradient = rng.normal(size=shape).astype(np.float32)
    np.testing.assert_allclose(moved(shape, gradient, learning_rate=0.1), -0.1 * np.sign(gradient), rtol=1e-4)


def test_every_kernel_of_a_network_of_convolutions_learns(rng):
    inputs = rng.normal(size=(64, 8, 8, 2)).astype(np.float32)
    targets = inputs.mean(axis=(1, 2, 3), keepdims=True)[..., 0, 0]
    model = keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.DepthwiseConv2D(3),
            keras.layers.Flatten(),
            keras.layers.Dense(1),
        ]
    )
    model.compile(Muon(0.01), "mse")
    before = model.get_weights()
    losses = model.fit(inputs, targets, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 2
    for old, new in zip(before, model.get_weights(), strict=True):
        assert not np.array_equal(old, new)


def test_it_comes_back_from_its_configuration():
    optimizer = Muon(0.02, weight_decay=0.3, momentum=0.8)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert isinstance(again, Muon)
    assert again.get_config() == optimizer.get_config()


class Counted(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises, and counts how often it is asked for."""

    def __init__(self):
        self.calls = 0

    def __call__(self, step):
        self.calls += 1
        return 0.01 * (1 + tf.cast(step, tf.float32))


def test_decay_is_that_of_keras_and_the_schedule_is_not_asked_for_every_variable(rng):
    """Matrices, which Muon moves, decay by one share, what AdamW moves by the other, and what is left out by none."""
    starts = [rng.normal(size=shape).astype(np.float32) for shape in [(6, 10), (4, 3), (10,), (3,)]]
    gradients = [rng.normal(size=start.shape).astype(np.float32) for start in starts]
    results, schedules = [], []
    for kind in (Muon, keras.optimizers.Muon):
        variables = [keras.Variable(start, name=f"weight_{number}") for number, start in enumerate(starts)]
        schedule = Counted()
        optimizer = kind(schedule, weight_decay=0.5, adam_weight_decay=0.1)
        optimizer.exclude_from_weight_decay(var_list=[variables[3]])
        optimizer.build(variables)
        for _ in range(2):
            optimizer.apply([tf.constant(gradient) for gradient in gradients], variables)
        results.append([variable.numpy() for variable in variables])
        schedules.append(schedule.calls)
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    # Once for the decay and once for the step, twice; Keras' own asks once for every variable that decays.
    assert schedules[0] == 4 < schedules[1]


@pytest.mark.parametrize("again", [False, True], ids=["made", "from its configuration"])
def test_what_is_left_out_by_name_moves_as_adam_moves_it(rng, again):
    """`exclude_layers` are patterns of paths; embeddings are left out unless told otherwise, as by Keras."""
    gradient = rng.normal(size=(6, 10)).astype(np.float32)

    def step(name, **arguments):
        optimizer = Muon(0.1, weight_decay=None, adam_weight_decay=None, **arguments)
        optimizer = Muon.from_config(optimizer.get_config()) if again else optimizer
        variable = keras.Variable(np.zeros((6, 10), np.float32), name=name)
        optimizer.apply([tf.constant(gradient)], [variable])
        return variable.numpy()

    adam = -0.1 * np.sign(gradient)
    for name, arguments in [
        ("head_kernel", {"exclude_layers": ["other", "^head"]}),
        ("token_embedding", {}),
    ]:
        np.testing.assert_allclose(step(name, **arguments), adam, rtol=1e-2)
    for name, arguments in [
        ("body_kernel", {"exclude_layers": ["head"]}),
        ("token_embedding", {"exclude_embeddings": False}),
    ]:
        assert not np.allclose(step(name, **arguments), adam, rtol=0.1)
