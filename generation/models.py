"""The GAN: one Keras model of a generator, a discriminator and the generator's averaged weights."""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from common import arguments, runs
from common import config as configs
from generation import inference, losses, noise, snapshots
from generation.config import MODELS, TASK, Config
from generation.discriminator_augment import augment
from generation.networks import dcgan, native, specgan
from generation.spectra import Spectra, resize

__all__ = [
    "MODELS",
    "Gan",
    "build_model",
    "build_optimizer",
    "compile_model",
    "draw_noise",
    "for_inference",
    "load_for_inference",
    "load_model",
]

_NETWORKS = {"native": native, "dcgan": dcgan, "specgan": specgan}
# Steps in which the adaptive augmentation probability could go from 0 to 1.
_ADAPTING_STEPS = 2000.0
_MAX_PROBABILITY = 0.8
# Warmup of the EMA: its momentum is lower in the first steps, so that the initial weights are forgotten.
_EMA_WARMUP_STEPS = 10.0


def build_model(config: Config) -> "Gan":
    """Build the model."""
    return Gan(config)


@keras.saving.register_keras_serializable(package="quartet")
class Gan(keras.Model):
    """A generative adversarial network of spectrograms.

    The model maps noise `(batch, steps, noise_dim)` to scaled spectrograms `(batch, frames, bands)` with the averaged
    generator. `fit` takes batches of waveforms `(batch, samples)`.

    Random numbers depend only on the seed and the number of steps, so a resumed training gives the same result.

    Attributes:
        config: The configuration.
        spectra: Converts between waveforms and scaled spectrograms.
        generator: The generator that is trained.
        discriminator: The discriminator.
        average: The generator with the EMA of its weights, used for inference and monitoring.
        discriminator_optimizer: Optimizer of the discriminator; `optimizer` is that of the generator.
        augment_probability: Probability of each augmentation of the discriminator input.
        restores: How often training has restored its best weights.
    """

    def __init__(self, config: Config | dict, **kwargs):
        super().__init__(**kwargs)
        self.config = config if isinstance(config, Config) else configs.from_dict(Config, config, "the model")
        self.spectra = Spectra(self.config, name="spectra")
        networks = _NETWORKS[self.config.model]
        self.generator = networks.generator(self.config)
        self.discriminator = networks.discriminator(self.config)
        self.average = networks.generator(self.config)
        self.average.trainable = False
        self.average.set_weights(self.generator.get_weights())
        state = {"shape": (), "trainable": False, "autocast": False, "aggregation": "mean"}
        self.augment_probability = self.add_weight(
            **state,
            initializer=keras.initializers.Constant(
                self.config.augment_probability if self.config.augment != "none" else 0.0
            ),
            name="augment_probability",
        )
        self.restores = self.add_weight(**state, initializer="zeros", name="restores")
        self.discriminator_optimizer: keras.optimizers.Optimizer | None = None
        self.trackers = {
            name: keras.metrics.Mean(name)
            for name in ("loss", "generator_loss", "discriminator_loss", "real_logit", "fake_logit", "augmented")
        }
        # The constructor creates all weights.
        self.built = True

    def optimizers(self) -> list[keras.optimizers.Optimizer]:
        """Return both optimizers, which a backup saves in addition to the variables."""
        return [self.optimizer, self.discriminator_optimizer]

    @property
    def metrics(self):
        """The metrics of training."""
        return list(self.trackers.values())

    def call(self, noise_steps, training=False):
        """Generate scaled spectrograms from noise with the averaged generator."""
        return self.enlarged(self.average(noise_steps, training=False))

    # In eager mode 16 pieces of the default network take twice as long.
    @tf.function(autograph=False, reduce_retracing=True)
    def generate(self, noise_steps: tf.Tensor) -> tf.Tensor:
        """Map noise `(batch, steps, noise_dim)` to scaled spectrograms `(batch, frames, bands)`, in a graph."""
        return self(noise_steps)

    def enlarged(self, outputs: tf.Tensor) -> tf.Tensor:
        """Resize the generator's output `(batch, …, …, 1)` to spectrograms `(batch, frames, bands)`."""
        if self.config.model == "native":
            # Not resized, because pieces have any length; for an excerpt the output is slightly longer than it.
            return outputs[..., 0]
        return resize(outputs, (self.config.frames, self.config.bands))[..., 0]

    def judged(self, spectrograms: tf.Tensor) -> tf.Tensor:
        """Resize or crop spectrograms `(batch, …, …, 1)` to the input size of the discriminator."""
        frames, _ = self.config.judged_size
        if self.config.model == "native":
            return spectrograms[:, :frames]
        return resize(spectrograms, self.config.judged_size)

    def train_step(self, data):
        """Train the discriminator for `discriminator_steps` steps, then the generator for one."""
        config = self.config
        waveforms, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        reals = self.judged(self.spectra(waveforms)[..., None])
        num_steps = config.discriminator_steps
        parts = tf.split(reals, num_steps) if num_steps > 1 else [reals]
        num_samples = tf.shape(parts[0])[0]
        *seeds, generator_seed = tf.unstack(tf.random.split(self._seed(), 2 * num_steps + 1))
        *earlier, last = zip(parts, seeds[:num_steps], seeds[num_steps:], strict=True)
        for part, noise_seed, seed in earlier:
            self._improve_discriminator(part, self._fakes(num_samples, noise_seed), seed)
        part, noise_seed, seed = last
        with tf.GradientTape() as tape:
            fakes = self._fakes(num_samples, noise_seed)
            with tape.stop_recording():
                real_logits, fake_logits, discriminator_loss = self._improve_discriminator(part, fakes, seed)
            # Reuse the last fakes with the updated discriminator; this saves one pass of the generator.
            logits = self._judge(fakes, generator_seed)
            generator_loss = losses.generator_loss(config.loss, logits, config.real_label)
            total = _scaled(self.optimizer, generator_loss)
        variables = self.generator.trainable_variables
        self.optimizer.apply(tape.gradient(total, variables), variables)
        self._follow()
        self._adapt(real_logits)
        values = {
            "loss": generator_loss + discriminator_loss,
            "generator_loss": generator_loss,
            "discriminator_loss": discriminator_loss,
            "real_logit": tf.reduce_mean(real_logits),
            "fake_logit": tf.reduce_mean(fake_logits),
            "augmented": tf.convert_to_tensor(self.augment_probability),
        }
        for name, value in values.items():
            self.trackers[name].update_state(value)
        return self.get_metrics_result()

    def test_step(self, data):
        """Compute the logits of validation reals; they are lower than those of training reals if it overfits."""
        waveforms, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        logits = self.discriminator(self.judged(self.spectra(waveforms)[..., None]), training=False)
        self.trackers["real_logit"].update_state(tf.reduce_mean(logits))
        return {"real_logit": self.trackers["real_logit"].result()}

    def _seed(self) -> tf.Tensor:
        """Return the seed of a step, different on each device."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        step = tf.cast(self.optimizer.iterations, tf.int32)
        seed = tf.stack([tf.constant(self.config.seed, tf.int32), step])
        return tf.random.fold_in(seed, replica)

    def _judge(self, spectrograms: tf.Tensor, seed: tf.Tensor, training: bool = True) -> tf.Tensor:
        """Return the discriminator's logits, with augmentation if it is configured.

        `training` updates the statistics. Penalties must not update them: they may be in a branch, where devices cannot
        synchronise.
        """
        if self.config.augment != "none":
            spectrograms = augment(spectrograms, tf.convert_to_tensor(self.augment_probability), seed)
        return self.discriminator(spectrograms, training=training)

    def _fakes(self, num_samples: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return self.judged(self.generator(draw_noise(self.config, num_samples, seed), training=True))

    def _improve_discriminator(
        self, reals: tf.Tensor, fakes: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        config = self.config
        seeds = tf.unstack(tf.random.split(seed, 3))
        variables = self.discriminator.trainable_variables
        with tf.GradientTape() as tape:
            real_logits, fake_logits = self._judge(reals, seeds[0]), self._judge(fakes, seeds[1])
            loss = losses.discriminator_loss(config.loss, real_logits, fake_logits, config.real_label)
            total = loss
            if config.loss == "wgan_gp":
                penalty = losses.gradient_penalty(
                    lambda x: self._judge(x, seeds[0], training=False), reals, fakes, seeds[2]
                )
                total += config.gradient_penalty * penalty
            if config.r1_weight:
                total += self._lazy_r1(reals, seeds[0])
            total = _scaled(self.discriminator_optimizer, total)
        self.discriminator_optimizer.apply(tape.gradient(total, variables), variables)
        return real_logits, fake_logits, loss

    def _lazy_r1(self, reals: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Return the R1 penalty times `r1_every` in every `r1_every`-th step, and 0 in the others."""
        config = self.config

        def penalty() -> tf.Tensor:
            r1 = losses.r1(lambda x: self._judge(x, seed, training=False), reals)
            return config.r1_weight * config.r1_every * r1

        due = self.optimizer.iterations % config.r1_every == 0
        if config.jit_compile:
            # In TensorFlow 2.21, XLA cannot differentiate the gradient of a branch.
            return tf.where(due, penalty(), 0.0)
        return tf.cond(due, penalty, lambda: 0.0)

    def _follow(self) -> None:
        """Update the EMA of the generator's weights; batch statistics are copied."""
        step = tf.cast(self.optimizer.iterations, tf.float32)
        momentum = tf.minimum(self.config.ema_momentum, (1 + step) / (_EMA_WARMUP_STEPS + step))
        trained = {id(variable) for variable in self.generator.trainable_variables}
        for mean, value in zip(self.average.variables, self.generator.variables, strict=True):
            if id(value) in trained:
                mean.assign(mean * momentum + value * (1 - momentum))
            else:
                mean.assign(value)

    def _adapt(self, real_logits: tf.Tensor) -> None:
        """Increase the augmentation probability if the mean sign of the logits of reals is above its target."""
        if self.config.augment != "adaptive":
            return
        mean_sign = tf.reduce_mean(tf.cast(real_logits > 0, tf.float32)) * 2 - 1
        step = tf.sign(mean_sign - self.config.augment_target) / _ADAPTING_STEPS
        probability = tf.convert_to_tensor(self.augment_probability)
        self.augment_probability.assign(tf.clip_by_value(probability + step, 0.0, _MAX_PROBABILITY))

    def get_config(self):
        """Return the arguments of the model."""
        return {"config": dataclasses.asdict(self.config), "name": self.name}


def _scaled(optimizer: keras.optimizers.Optimizer, loss: tf.Tensor) -> tf.Tensor:
    """Scale a loss for its optimizer, which sums the gradients of all devices."""
    loss /= tf.distribute.get_strategy().num_replicas_in_sync
    return optimizer.scale_loss(loss) if isinstance(optimizer, keras.optimizers.LossScaleOptimizer) else loss


def draw_noise(config: Config, num_samples: int | tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draw the noise of excerpts in a graph, where the seed is a tensor: in training steps and in the SavedModel.

    `noise.draw` gives the same values in NumPy.

    Args:
        config: The configuration of the generator.
        num_samples: Number of excerpts.
        seed: Integers, shape `(2,)`; the same seed gives the same noise.

    Returns:
        Shape `(num_samples, steps, noise_dim)` float32.
    """
    steps, local_dim = noise.num_steps(config), config.noise_dim - config.style_dim
    seeds = tf.unstack(tf.random.split(tf.convert_to_tensor(seed), 2))
    style = _random(config, (num_samples, 1, config.style_dim), seeds[0])
    local = _random(config, (num_samples, steps, local_dim), seeds[1])
    return tf.concat([tf.repeat(style, steps, axis=1), local], axis=2)


def _random(config: Config, shape: tuple, seed: tf.Tensor) -> tf.Tensor:
    # Without `alg`, XLA would use another random number generator.
    if config.noise == "uniform":
        return tf.random.stateless_uniform(shape, seed, -1.0, 1.0, alg="philox")
    return tf.random.stateless_normal(shape, seed, alg="philox")


def build_optimizer(config: Config) -> keras.optimizers.Optimizer:
    """Return the optimizer of the generator: Adam at a constant learning rate, without EMA, which `Gan` computes."""
    return keras.optimizers.Adam(config.learning_rate, beta_1=config.beta_1, beta_2=config.beta_2)


def compile_model(model: Gan, config: Config, optimizer: keras.optimizers.Optimizer, steps_per_execution: int) -> None:
    """Set both optimizers; that of the discriminator is the same with `discriminator_learning_rate`.

    With `mixed_float16` losses are scaled, so that gradients do not underflow.
    """
    other = optimizer.from_config(
        optimizer.get_config() | {"learning_rate": config.discriminator_learning_rate},
    )
    if keras.config.dtype_policy().name == "mixed_float16":
        optimizer, other = (keras.optimizers.LossScaleOptimizer(one) for one in (optimizer, other))
    model.discriminator_optimizer = other
    for one, network in ((optimizer, model.generator), (other, model.discriminator)):
        one.build(network.trainable_variables)
    model.compile(
        optimizer,
        jit_compile=config.jit_compile,
        steps_per_execution=steps_per_execution,
        auto_scale_loss=False,
    )


def load_model(run_dir: str | Path) -> tuple[Config, Gan]:
    """Load the model of a run in float32, with its saved weights.

    Raises:
        UserError: The folder is not a generation run, or has no weights yet.
    """
    config = configs.load(Config, TASK, Path(run_dir) / "config.json")
    with runs.in_float32(), runs.rebuilding(run_dir):
        model = build_model(config)
    runs.load_weights(model, run_dir)
    return config, model


def load_for_inference(run_dir: str | Path, epoch: int | None = None) -> inference.MusicGenerator:
    """Load the generator of a run.

    Args:
        run_dir: A trained run.
        epoch: Epoch of the snapshot to use. Defaults to the final model.

    Raises:
        UserError: As in `load_model`, or there is no snapshot of that epoch.
    """
    _, model = load_model(run_dir)
    if epoch is not None:
        arguments.whole_number("epoch", epoch, 1, model.config.epochs)
        snapshots.load(model.average, run_dir, epoch)
    return for_inference(model)


def for_inference(model: Gan) -> inference.MusicGenerator:
    """Return a generator for a model."""
    config, spectra = model.config, model.spectra

    def make_spectrogram(steps: np.ndarray) -> np.ndarray:
        return model.generate(tf.constant(steps)).numpy()

    def to_waveform(scaled: np.ndarray) -> np.ndarray:
        return spectra.waveforms(tf.constant(scaled)).numpy()

    return inference.MusicGenerator(
        make_spectrogram,
        to_waveform,
        sample_rate=config.sample_rate,
        hop_samples=config.hop_length,
        clip_seconds=config.clip_seconds,
        clip_frames=config.frames,
        any_length=config.model == "native",
        noise=noise.of(config),
        low_db=np.asarray(spectra.low),
        high_db=np.asarray(spectra.high),
    )
