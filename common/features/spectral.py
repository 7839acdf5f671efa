"""Short-time spectra as pure TensorFlow functions: waveforms `(..., samples)` to spectrograms `(..., frames, bins)`.

Names and definitions are librosa's, with time before frequency. Maxima are those of the clip, never of the batch. Every
function also runs under XLA and in LiteRT.

Example:
    >>> import tensorflow as tf
    >>> waveform = tf.sin(2 * 3.14159265 * 440 * tf.range(22050, dtype=tf.float32) / 22050)
    >>> mfcc(mel_spectrogram(waveform, sample_rate=22050)).shape
    TensorShape([44, 13])
"""

import functools
import math

import librosa
import numpy as np
import scipy.fft
import scipy.signal
import tensorflow as tf

from common.errors import UserError
from common.features import checks, lengths
from common.features.fourier import irfft, project, rfft
from common.features.framing import cut, frame, overlap_and_add, static_shape

_BAND_OPTIONS = ("fmin_hz", "fmax_hz", "htk", "norm")


def stft(
    waveform,
    n_fft: int = 2048,
    hop_length: int = 512,
    win_length: int | None = None,
    window: str = "hann",
    center: bool = True,
    pad_mode: str = "constant",
):
    """Compute the short-time Fourier transform, as `librosa.stft` with time before frequency.

    Args:
        waveform: Shape (..., samples).
        n_fft: Length of the Fourier transform in samples.
        hop_length: Hop between frames in samples.
        win_length: Length of the window in samples, at most `n_fft`; `n_fft` by default. A shorter window is centred in
            the frame.
        window: Name of a window in `scipy.signal`, in its periodic form.
        center: Whether frame t is centred at sample t * hop_length; otherwise it begins there.
        pad_mode: Padding at the ends with `center`: "constant" (zeros) or "reflect".

    Returns:
        complex64 of shape (..., frames, 1 + n_fft // 2); frames = 1 + samples // hop_length when centred with even
        `n_fft`, 1 + (samples - n_fft) // hop_length when not centred.

    Raises:
        UserError: An argument is out of range, or the waveform is too short for one frame or for reflection.
    """
    return tf.complex(*stft_parts(waveform, n_fft, hop_length, win_length, window, center, pad_mode))


def stft_parts(waveform, n_fft=2048, hop_length=512, win_length=None, window="hann", center=True, pad_mode="constant"):
    """Compute the real and the imaginary part of `stft` separately: LiteRT cannot combine them to complex numbers.

    Args and Raises are those of `stft`.

    Returns:
        Two float32 tensors of shape (..., frames, 1 + n_fft // 2).
    """
    checks.framing(n_fft, hop_length, win_length, pad_mode)
    waveform = tf.cast(waveform, tf.float32)
    if waveform.shape[-1] is not None:
        lengths.num_frames(waveform.shape[-1], n_fft, hop_length, center, pad_mode)
    if center:
        margins = [[0, 0]] * (waveform.shape.rank - 1) + [[n_fft // 2, n_fft // 2]]
        waveform = tf.pad(waveform, margins, mode=pad_mode.upper())
    return rfft(frame(waveform, n_fft, hop_length) * window_samples(window, win_length, n_fft))


def istft(
    spectrum,
    n_fft: int | None = None,
    hop_length: int = 512,
    win_length: int | None = None,
    window: str = "hann",
    center: bool = True,
    length: int | None = None,
):
    """Compute the waveform whose `stft` is closest to a spectrum, as `librosa.istft`.

    Without centring, the window is almost 0 at the outermost samples. Where the sum of its squares is below 1e-6,
    samples fade out; librosa amplifies rounding errors there.

    Args:
        spectrum: complex64, shape (..., frames, 1 + n_fft // 2).
        n_fft: Length of the Fourier transform; by default the even length that matches the number of bins.
        hop_length, win_length, window, center: As in `stft`.
        length: Number of output samples, cut or padded with zeros; by default the length that the frames cover.

    Returns:
        float32 of shape (..., samples); by default samples = hop_length * (frames - 1) when centred with even `n_fft`.

    Raises:
        UserError: An argument is out of range, or the number of bins does not match `n_fft`.
    """
    if n_fft is None:
        n_fft = 2 * (spectrum.shape[-1] - 1)
    parts = tf.math.real(spectrum), tf.math.imag(spectrum)
    return istft_parts(parts, n_fft, hop_length, win_length, window, center, length)


def istft_parts(parts, n_fft=2048, hop_length=512, win_length=None, window="hann", center=True, length=None):
    """Compute `istft` from the real and the imaginary part, as returned by `stft_parts`."""
    real, imaginary = parts
    checks.framing(n_fft, hop_length, win_length)
    checks.bins(real.shape[-1], n_fft)
    if length is not None and not tf.is_tensor(length):
        checks.count("length", length)
    weights = window_samples(window, win_length, n_fft)
    waveform = overlap_and_add(irfft(real, imaginary, n_fft) * weights, hop_length)
    squares = tf.broadcast_to(tf.square(weights), [static_shape(real)[-2], n_fft])
    overlap = overlap_and_add(squares, hop_length)
    waveform /= tf.where(overlap > 1e-6, overlap, 1.0)
    margin = n_fft // 2 if center else 0
    kept = static_shape(waveform)[-1] - margin * (1 if length is not None else 2)
    waveform = cut(waveform, margin, kept)
    return waveform if length is None else _fit_length(waveform, length)


def griffin_lim(
    magnitude,
    n_fft: int | None = None,
    length: int | None = None,
    num_iterations: int = 32,
    momentum: float = 0.99,
    seed: int = 0,
    pad_mode: str = "constant",
    **framing,
):
    """Estimate a waveform from a magnitude spectrogram, as `librosa.griffinlim`.

    Perraudin, Balazs and Søndergaard, "A fast Griffin-Lim algorithm" (2013). All clips of a batch start from the same
    random phases, so that the result does not depend on the batch.

    Args:
        magnitude: Nonnegative, shape (..., frames, 1 + n_fft // 2).
        n_fft: Length of the Fourier transform; by default the even length that matches the number of bins.
        length: As in `istft`.
        num_iterations: Number of iterations.
        momentum: 0 for the algorithm of Griffin and Lim (1984); below 1.
        seed: Seed of the initial phases.
        pad_mode, **framing: As in `stft`.

    Returns:
        float32 of shape (..., samples), as `istft`.

    Raises:
        UserError: An argument is out of range, or the number of bins does not match `n_fft`.
    """
    checks.griffin_lim(num_iterations, momentum)
    magnitude = tf.cast(magnitude, tf.float32)
    *_, frames, bins = static_shape(magnitude)
    if n_fft is None:
        n_fft = 2 * (bins - 1)
    # XLA uses another generator by default, which would give other phases.
    phase = tf.random.stateless_uniform((frames, bins), (seed, 0), 0.0, 2 * np.pi, alg="philox")

    def improve(index, real, imaginary, last_real, last_imaginary):
        waveform = istft_parts((real, imaginary), n_fft, **framing)
        new_real, new_imaginary = stft_parts(waveform, n_fft, pad_mode=pad_mode, **framing)
        weight = momentum / (1 + momentum)
        ahead_real, ahead_imaginary = new_real - weight * last_real, new_imaginary - weight * last_imaginary
        scale = magnitude * tf.math.rsqrt(tf.square(ahead_real) + tf.square(ahead_imaginary) + 1e-16)
        return index + 1, scale * ahead_real, scale * ahead_imaginary, new_real, new_imaginary

    start = (
        0,
        magnitude * tf.cos(phase),
        magnitude * tf.sin(phase),
        tf.zeros_like(magnitude),
        tf.zeros_like(magnitude),
    )
    _, real, imaginary, _, _ = tf.while_loop(lambda index, *_: index < num_iterations, improve, start)
    return istft_parts((real, imaginary), n_fft, length=length, **framing)


def power_to_db(power, ref: float | str = 1.0, amin: float = 1e-10, top_db: float | None = 80.0):
    """Convert power to decibels per clip, as `librosa.power_to_db`.

    Args:
        power: Nonnegative, shape (..., frames, bins).
        ref: The power at 0 dB, or "max" for the maximum of each clip.
        amin: Lower limit for the power and for the reference.
        top_db: Values are clipped to this many dB below the maximum of the clip; None turns clipping off.

    Returns:
        Decibels of the same shape.

    Raises:
        UserError: An argument is out of range.
    """
    checks.decibels(ref, amin, top_db)
    if ref == "max":
        ref = tf.reduce_max(power, axis=(-2, -1), keepdims=True)
    decibels = _decibels(tf.maximum(power, amin)) - _decibels(tf.maximum(ref, amin))
    if top_db is None:
        return decibels
    return tf.maximum(decibels, tf.reduce_max(decibels, axis=(-2, -1), keepdims=True) - top_db)


def amplitude_to_db(amplitude, ref: float | str = 1.0, amin: float = 1e-5, top_db: float | None = 80.0):
    """Convert amplitudes to decibels, as `librosa.amplitude_to_db`; `amplitude`, `ref` and `amin` are amplitudes."""
    checks.decibels(ref, amin, top_db)
    return power_to_db(tf.square(amplitude), ref if ref == "max" else ref**2, amin**2, top_db)


def magnitude(real, imaginary):
    """Return the magnitude of complex numbers; its gradient at 0 is 0, not infinity."""
    power = tf.square(real) + tf.square(imaginary)
    positive = power > 0
    return tf.where(positive, tf.sqrt(tf.where(positive, power, 1.0)), 0.0)


@functools.lru_cache(maxsize=32)
def mel_filterbank(
    sample_rate: int,
    n_fft: int = 2048,
    num_mels: int = 128,
    fmin_hz: float = 0.0,
    fmax_hz: float | None = None,
    htk: bool = False,
    norm: str | None = "slaney",
) -> np.ndarray:
    """Return the mel filterbank, `librosa.filters.mel` transposed.

    Args:
        sample_rate: In Hz.
        n_fft: Length of the Fourier transform in samples.
        num_mels: Number of bands.
        fmin_hz: Lower edge of the lowest band in Hz.
        fmax_hz: Upper edge of the highest band in Hz; half the sample rate by default.
        htk: Whether to use the HTK mel scale instead of Slaney's.
        norm: "slaney" gives every band the same area, None the same height.

    Returns:
        float32 of shape (1 + n_fft // 2, num_mels).

    Raises:
        UserError: An argument is out of range.
    """
    checks.count("n_fft", n_fft, minimum=2)
    checks.mel(sample_rate, num_mels, fmin_hz, fmax_hz, htk, norm)
    filters = librosa.filters.mel(
        sr=sample_rate, n_fft=n_fft, n_mels=num_mels, fmin=fmin_hz, fmax=fmax_hz, htk=htk, norm=norm
    )
    return np.ascontiguousarray(filters.T)


def mel_spectrogram(waveform, sample_rate: int, num_mels: int = 128, n_fft: int = 2048, **options):
    """Compute a mel power spectrogram, as `librosa.feature.melspectrogram`.

    Args:
        waveform: Shape (..., samples).
        sample_rate: In Hz.
        num_mels: Number of bands.
        n_fft: Length of the Fourier transform in samples.
        **options: `fmin_hz`, `fmax_hz`, `htk` and `norm` as in `mel_filterbank`, all others as in `stft`.

    Returns:
        float32 of shape (..., frames, num_mels).

    Raises:
        UserError: As `mel_filterbank` and `stft`.
    """
    bands = {name: options.pop(name) for name in _BAND_OPTIONS if name in options}
    filters = mel_filterbank(sample_rate, n_fft, num_mels, **bands)
    real, imaginary = stft_parts(waveform, n_fft, **options)
    power = tf.square(real) + tf.square(imaginary)
    return tf.concat(
        [_project_group(power, filters[:, first : first + 32]) for first in range(0, num_mels, 32)], axis=-1
    )


def dct(values, num_coefficients: int):
    """Compute the first coefficients of the orthonormal discrete cosine transform, type 2, along the last axis.

    Args:
        values: Shape (..., size).
        num_coefficients: At most size.

    Returns:
        Shape (..., num_coefficients).

    Raises:
        UserError: `num_coefficients` is out of range.
    """
    size = values.shape[-1]
    checks.count("num_coefficients", num_coefficients, maximum=size, why=f"the last axis has {size}")
    return project(values, _dct_matrix(size, num_coefficients))


def mfcc(mel_power, num_mfcc: int = 13, top_db: float | None = 80.0):
    """Compute mel-frequency cepstral coefficients from the power in mel bands, as `librosa.feature.mfcc` does.

    Args:
        mel_power: Shape (..., frames, num_mels), from `mel_spectrogram`.
        num_mfcc: Number of coefficients, at most num_mels.
        top_db: As in `power_to_db`.

    Returns:
        float32 of shape (..., frames, num_mfcc).

    Raises:
        UserError: An argument is out of range.
    """
    num_mels = mel_power.shape[-1]
    checks.count("num_mfcc", num_mfcc, maximum=num_mels, why=f"num_mels is {num_mels}")
    return dct(power_to_db(mel_power, top_db=top_db), num_mfcc)


@functools.lru_cache(maxsize=32)
def window_samples(window: str, win_length: int | None, n_fft: int) -> np.ndarray:
    """Return a periodic window centred in a frame, float32 of shape (n_fft,).

    Raises:
        UserError: The window is unknown to `scipy.signal`, or longer than the frame.
    """
    win_length = n_fft if win_length is None else win_length
    checks.count("win_length", win_length, maximum=n_fft, why=f"n_fft is {n_fft}")
    try:
        samples = scipy.signal.get_window(window, win_length, fftbins=True)
    except ValueError as error:
        raise UserError(f'window "{window}" is not known to scipy.signal ({error}); use for example "hann"') from error
    before = (n_fft - win_length) // 2
    return np.pad(samples, (before, n_fft - win_length - before)).astype(np.float32)


@functools.lru_cache(maxsize=8)
def _dct_matrix(size, num_coefficients):
    return scipy.fft.dct(np.eye(size), type=2, norm="ortho", axis=1)[:, :num_coefficients].astype(np.float32)


def _project_group(power, filters):
    """Multiply by a group of adjacent mel filters, only over their nonzero bins: most of a filterbank is zeros."""
    reached = np.flatnonzero(filters.any(axis=1))
    low, high = (reached[0], reached[-1] + 1) if reached.size else (0, 1)
    return project(power[..., low:high], filters[low:high])


def _decibels(power):
    return 10 / math.log(10) * tf.math.log(power)


def _fit_length(waveform, length):
    """Cut or zero-pad a waveform to a length."""
    samples = static_shape(waveform)[-1]
    # Python integers for static lengths: the slice and the padding are then often no-ops.
    kept = min(samples, length) if isinstance(samples, int) and isinstance(length, int) else tf.minimum(samples, length)
    return tf.pad(cut(waveform, 0, kept), [[0, 0]] * (waveform.shape.rank - 1) + [[0, length - kept]])
