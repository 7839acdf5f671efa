"""Augmentation of batches of waveforms.

The functions are for `tf.data`, after batching. They take `(batch, samples)` and a stateless seed of two integers, and
draw random values per example. The same seed gives the same result, so every call needs another seed, even for
different functions. Nothing is clipped: results may exceed [-1, 1].

Example:
    >>> import tensorflow as tf
    >>> def augment(waveforms, index):
    ...     seeds = tf.random.split([7, tf.cast(index, tf.int32)], 2)
    ...     waveforms = gain(waveforms, seeds[0], min_gain_db=-6.0, max_gain_db=6.0)
    ...     return shift(waveforms, seeds[1], max_shift_samples=1600)
    >>> waveforms = tf.data.Dataset.from_tensors(tf.ones((2, 16000))).repeat(3)
    >>> [batch.shape[1] for batch in tf.data.Dataset.zip(waveforms, tf.data.Dataset.counter()).map(augment)]
    [16000, 16000, 16000]
"""

import numpy as np
import tensorflow as tf

from common.features import spectral

_OVERSAMPLING = 3


def gain(waveforms, seed, min_gain_db: float, max_gain_db: float, *, probability: float = 1.0):
    """Apply a random gain to every example.

    Args:
        waveforms: Shape (batch, samples).
        seed: Two integers, shape (2,).
        min_gain_db: Smallest gain in dB.
        max_gain_db: Largest gain in dB.
        probability: Probability of changing an example, in [0, 1].

    Returns:
        Waveforms of the same shape.
    """
    seeds = tf.random.split(seed, 2)
    gain_db = _draw(waveforms, seeds[0], min_gain_db, max_gain_db)
    return _apply(waveforms, waveforms * _amplitude(gain_db), seeds[1], probability)


def shift(waveforms, seed, max_shift_samples: int, *, probability: float = 1.0):
    """Shift every example in time by a random number of samples, padding with zeros.

    Args:
        waveforms: Shape (batch, samples).
        seed: Two integers, shape (2,).
        max_shift_samples: Largest shift in either direction, at least 0.
        probability: Probability of changing an example, in [0, 1].

    Returns:
        Waveforms of the same shape.
    """
    seeds = tf.random.split(seed, 2)
    batch, samples = _shape(waveforms)
    shifts = tf.random.stateless_uniform(
        (batch, 1), seeds[0], -max_shift_samples, max_shift_samples + 1, dtype=tf.int32
    )
    shifts = _apply(tf.zeros_like(shifts), shifts, seeds[1], probability)
    padded = tf.pad(waveforms, [[0, 0], [max_shift_samples, max_shift_samples]])
    # One slice per example: a tf.gather of single samples takes three times as long.
    starts = max_shift_samples - shifts[:, 0]
    return tf.map_fn(
        lambda example: tf.slice(example[0], [example[1]], [samples]),
        (padded, starts),
        fn_output_signature=tf.TensorSpec(waveforms.shape[1:], waveforms.dtype),
    )


def speed(waveforms, seed, min_rate: float, max_rate: float, *, probability: float = 1.0):
    """Change the speed of every example around its centre, which also changes the pitch; see `play_at`.

    Args:
        waveforms: Shape (batch, samples).
        seed: Two integers, shape (2,).
        min_rate: Smallest speed factor, above 0; 0.9 is 10 % slower.
        max_rate: Largest speed factor.
        probability: Probability of changing an example, in [0, 1].

    Returns:
        Waveforms of the same shape.
    """
    seeds = tf.random.split(seed, 2)
    changed = play_at(waveforms, _draw(waveforms, seeds[0], min_rate, max_rate))
    return _apply(waveforms, changed, seeds[1], probability)


def play_at(waveforms, rates):
    """Play every example at its own speed around its centre, which also changes the pitch.

    A faster example gets shorter and is padded with zeros on both sides; a slower one is cut on both sides. The
    waveform is oversampled three times with the Fourier transform, without the frequencies that would alias, and then
    interpolated linearly. The treble loss of linear interpolation is compensated beforehand. The remaining error was 46
    dB below the signal for spoken words (the median of 40; 32 dB for the one with the most hiss).

    Args:
        waveforms: Shape (batch, samples).
        rates: Speed factors, above 0, shape (batch, 1); 0.9 is 10 % slower.

    Returns:
        Waveforms of the same shape.
    """
    batch, samples = _shape(waveforms)
    num_fine = samples * _OVERSAMPLING

    spectrum = tf.signal.rfft(waveforms)
    bins = tf.range(samples // 2 + 1, dtype=tf.float32)
    cycles_per_step = bins / tf.cast(num_fine, tf.float32)
    droop = tf.square(tf.math.divide_no_nan(tf.sin(np.pi * cycles_per_step), np.pi * cycles_per_step))
    droop = tf.where(bins == 0, 1.0, droop)
    kept = bins * tf.maximum(rates, 1.0) < tf.cast(samples, tf.float32) / 2
    spectrum *= tf.cast(tf.where(kept, _OVERSAMPLING / droop, 0.0), spectrum.dtype)
    fine = tf.signal.irfft(tf.pad(spectrum, [[0, 0], [0, num_fine // 2 - samples // 2]]), [num_fine])

    centre = tf.cast(samples - 1, tf.float32) / 2
    # Only the kernel crop_and_resize interpolates at a rate per example: it takes the first and the last position,
    # relative to the length of the row, and returns zero outside.
    first = (centre - centre * rates) * _OVERSAMPLING / tf.cast(num_fine - 1, tf.float32)
    last = (centre + centre * rates) * _OVERSAMPLING / tf.cast(num_fine - 1, tf.float32)
    row = tf.zeros_like(first)
    boxes = tf.concat([row, first, row, last], axis=1)
    changed = tf.image.crop_and_resize(fine[:, tf.newaxis, :, tf.newaxis], boxes, tf.range(batch), (1, samples))
    return changed[:, 0, :, 0]


def stretch(waveforms, rates, n_fft: int = 1024, hop_length: int = 256):
    """Change the tempo of every example around its centre with a phase vocoder, which keeps the pitch.

    J. Laroche and M. Dolson, "Improved phase vocoder time-scale modification of audio" (1999), as `librosa.effects.
    time_stretch`. A faster example gets shorter and is padded with zeros on both sides; a slower one is cut.

    Args:
        waveforms: Shape (batch, samples).
        rates: Tempo factors, above 0, shape (batch, 1); 0.9 is 10 % slower.
        n_fft: Length of the Fourier transform in samples.
        hop_length: Hop between frames in samples.

    Returns:
        Waveforms of the same shape.
    """
    spectrum = spectral.stft(waveforms, n_fft, hop_length)
    _, samples = _shape(waveforms)
    frames = tf.shape(spectrum)[1]
    centre = tf.cast(samples, tf.float32) / (2 * hop_length)
    positions = centre + (tf.range(frames, dtype=tf.float32) - centre) * rates
    left = tf.clip_by_value(tf.cast(tf.floor(positions), tf.int32), 0, frames - 2)
    before, after = tf.gather(spectrum, left, batch_dims=1), tf.gather(spectrum, left + 1, batch_dims=1)
    part = (positions - tf.cast(left, tf.float32))[..., None]
    inside = tf.cast((part >= 0) & (part <= 1), tf.complex64)
    part = tf.clip_by_value(part, 0.0, 1.0)
    # Keep silence above 0, so that it has a phase from which the next frame can continue.
    magnitude = tf.maximum((1 - part) * tf.abs(before) + part * tf.abs(after), 1e-6)
    advance = _unit(after * tf.math.conj(before))

    def step(last, values):
        # A sinusoid spreads over neighbouring bins, whose phases must advance together to avoid beating. So each bin
        # follows the sum of itself and its neighbours; these have the opposite sign, because phases refer to the first
        # sample of the frame.
        return _unit(_with_neighbours(last) * values[0]) * tf.cast(values[1], tf.complex64)

    first = _unit(before[:, 0]) * tf.cast(magnitude[:, 0], tf.complex64)
    steps = (tf.transpose(advance[:, :-1], [1, 0, 2]), tf.transpose(magnitude[:, 1:], [1, 0, 2]))
    following = tf.scan(step, steps, first)
    stretched = inside * tf.concat([first[:, None], tf.transpose(following, [1, 0, 2])], axis=1)
    return tf.ensure_shape(spectral.istft(stretched, n_fft, hop_length, length=samples), waveforms.shape)


def _unit(values):
    """Scale complex numbers to a magnitude of 1; 0 becomes 1."""
    magnitude = tf.abs(values)
    scaled = values / tf.cast(tf.maximum(magnitude, 1e-30), tf.complex64)
    return tf.where(magnitude > 1e-30, scaled, tf.ones_like(values))


def _with_neighbours(values):
    padded = tf.pad(values, [[0, 0], [1, 1]])
    return values - padded[:, :-2] - padded[:, 2:]


def add_noise(waveforms, noises, seed, min_snr_db: float, max_snr_db: float, *, probability: float = 1.0):
    """Add noise at a random signal-to-noise ratio per example.

    Both powers are means over the whole clip. If the waveform or the noise is silent, the waveform is not changed.

    Args:
        waveforms: Shape (batch, samples).
        noises: Noise of any level, shape (batch, samples).
        seed: Two integers, shape (2,).
        min_snr_db: Smallest signal-to-noise ratio, in dB.
        max_snr_db: Largest signal-to-noise ratio, in dB.
        probability: Probability of changing an example, in [0, 1].

    Returns:
        Waveforms of the same shape.
    """
    seeds = tf.random.split(seed, 2)
    snr_db = _draw(waveforms, seeds[0], min_snr_db, max_snr_db)
    level = tf.math.divide_no_nan(_rms(waveforms), _rms(noises)) * _amplitude(-snr_db)
    return _apply(waveforms, waveforms + level * noises, seeds[1], probability)


def colored_noise(shape, seed, min_exponent: float = 0.0, max_exponent: float = 2.0):
    """Generate Gaussian noise with a power spectrum of 1 / frequency ** exponent, with a random exponent per example.

    An exponent of 0 is white noise, 1 pink and 2 brown.

    Args:
        shape: (batch, samples).
        seed: Two integers, shape (2,).
        min_exponent: Smallest exponent.
        max_exponent: Largest exponent.

    Returns:
        Noise of shape (batch, samples), with mean 0 and root mean square 1.
    """
    batch, samples = tf.unstack(shape)
    seeds = tf.random.split(seed, 2)
    num_bins = samples // 2
    exponents = tf.random.stateless_uniform((batch, 1), seeds[0], min_exponent, max_exponent)
    bins = tf.range(1, num_bins + 1, dtype=tf.float32)
    # Uniform draws take a sixth of the time of Gaussian ones, and the sum of thousands of them is Gaussian too.
    parts = tf.random.stateless_uniform((2, batch, num_bins), seeds[1], -1.0, 1.0)
    parts *= tf.exp(-exponents / 2 * tf.math.log(bins))
    spectrum = tf.pad(tf.complex(parts[0], parts[1]), [[0, 0], [1, 0]])
    noise = tf.signal.irfft(spectrum, [samples])
    return noise / _rms(noise)


def reverberate(
    waveforms,
    seed,
    rt60_seconds: tuple[float, float],
    sample_rate: int,
    *,
    drr_db: tuple[float, float] = (0.0, 20.0),
    probability: float = 1.0,
):
    """Add reverberation with a random impulse response per example.

    The impulse response is the direct sound, followed by white noise that decays by 60 dB within the reverberation
    time. The direct sound is not delayed. The impulse response has unit energy, so the level stays about the same.

    Args:
        waveforms: Shape (batch, samples).
        seed: Two integers, shape (2,).
        rt60_seconds: Shortest and longest reverberation time; above 0.
        sample_rate: In Hz.
        drr_db: Smallest and largest direct-to-reverberant energy ratio in dB.
        probability: Probability of changing an example, in [0, 1].

    Returns:
        Waveforms of the same shape.
    """
    seeds = tf.random.split(seed, 2)

    def convolve(chosen):
        shortest, longest = rt60_seconds
        return _convolve(chosen, seeds[0], (shortest * sample_rate, longest * sample_rate), drr_db)

    return _apply_to_some(waveforms, convolve, seeds[1], probability)


def _convolve(waveforms, seed, rt60_samples: tuple[float, float], drr_db: tuple[float, float]):
    """Convolve every example with its own impulse response."""
    seeds = tf.random.split(seed, 3)
    batch, samples = _shape(waveforms)
    num_tail = int(rt60_samples[1])
    rt60_samples = _draw(waveforms, seeds[0], *rt60_samples)
    drr_db = _draw(waveforms, seeds[1], *drr_db)
    # Minus 60 dB is a factor of 1 / 1000.
    decay = tf.exp(-np.log(1000.0) / rt60_samples * tf.range(num_tail, dtype=tf.float32))
    tail = tf.random.stateless_uniform((batch, num_tail), seeds[2], -1.0, 1.0) * decay
    tail *= _amplitude(-drr_db) * tf.math.rsqrt(tf.reduce_sum(tf.square(tail), axis=1, keepdims=True))
    responses = tf.concat([tf.ones((batch, 1)), tail], axis=1)
    responses *= tf.math.rsqrt(1 + tf.pow(10.0, -drr_db / 10))

    # Long enough for linear convolution, and rounded up to an even length without large prime factors.
    fft_length = -(-(samples + num_tail) // 4096) * 4096
    # Padded here, because tf.signal.rfft does not pad empty batches.
    waveforms, responses = (
        tf.pad(x, [[0, 0], [0, fft_length - length]]) for x, length in ((waveforms, samples), (responses, num_tail + 1))
    )
    spectrum = tf.signal.rfft(waveforms) * tf.signal.rfft(responses)
    return tf.signal.irfft(spectrum)[:, :samples]


def mix_examples(waveforms, labels, seed, alpha: float = 0.2, *, probability: float = 1.0):
    """Mix every example and its label with the previous one in the batch (mixup).

    Zhang et al., "mixup: Beyond empirical risk minimization" (2018, arXiv 1710.09412).

    Args:
        waveforms: Shape (batch, samples).
        labels: One-hot or soft labels, float, shape (batch, labels).
        seed: Two integers, shape (2,).
        alpha: The weight of the example is drawn from Beta(alpha, alpha); above 0. Small values change most examples
            little.
        probability: Probability of changing an example, in [0, 1].

    Returns:
        Waveforms and labels of the same shapes.
    """
    seeds = tf.random.split(seed, 2)
    batch, _ = _shape(waveforms)
    gammas = tf.random.stateless_gamma((batch, 2), seeds[0], alpha)
    # With a small alpha both draws can underflow to 0; such an example is not changed.
    total = tf.reduce_sum(gammas, axis=1, keepdims=True)
    weight = tf.where(total > 0, tf.math.divide_no_nan(gammas[:, :1], total), 1.0)
    weight = _apply(tf.ones_like(weight), weight, seeds[1], probability)
    return tuple(x * weight + tf.roll(x, 1, axis=0) * (1 - weight) for x in (waveforms, labels))


def _shape(waveforms):
    """Return (batch, samples), with Python integers for static sizes."""
    dynamic = tf.shape(waveforms)
    return tuple(dynamic[axis] if size is None else size for axis, size in enumerate(waveforms.shape))


def _draw(waveforms, seed, low, high):
    """Draw a uniform number per example, shape (batch, 1)."""
    return tf.random.stateless_uniform((_shape(waveforms)[0], 1), seed, low, high)


def _apply(original, changed, seed, probability):
    """Select every example from `changed` with the given probability, otherwise from `original`."""
    chosen = tf.random.stateless_uniform((_shape(original)[0], 1), seed) < probability
    return tf.where(chosen, changed, original)


def _apply_to_some(waveforms, change, seed, probability):
    """Change every example with the given probability; compute only the changed examples."""
    if probability == 1:
        return change(waveforms)
    chosen = tf.where(tf.random.stateless_uniform((_shape(waveforms)[0],), seed) < probability)
    changed = tf.ensure_shape(change(tf.gather_nd(waveforms, chosen)), (None, waveforms.shape[1]))
    return tf.tensor_scatter_nd_update(waveforms, chosen, changed)


def _amplitude(db):
    """Convert decibels to an amplitude factor."""
    return tf.pow(10.0, db / 20.0)


def _rms(waveforms):
    """Return root mean squares, shape (batch, 1)."""
    return tf.sqrt(tf.reduce_mean(tf.square(waveforms), axis=1, keepdims=True))
