"""Random effects for clean speech: voice, rhythm, microphone and room.

The functions process one NumPy waveform and take a random generator. `common.augmentation.waveform` has effects for
batches in training, which vary in every epoch.
"""

import numpy as np
from scipy.signal import fftconvolve

_FRAME, _HOP = 512, 128
_WINDOW = np.hanning(_FRAME + 1)[:-1]
_NUM_BINS = _FRAME // 2 + 1
_ENVELOPE_ORDER = 36
_MAX_GAIN = 3.5  # per band, in nepers: 30 dB


def change_voice(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change the voice and the rhythm of a recording.

    - The spectral envelope, computed from the cepstrum, is warped along frequency (which shifts the resonances of the
      vocal tract by different, drifting amounts), sharpened or flattened, and tilted; its level varies over time.
    - Part of the treble is replaced by breath noise.
    - A phase vocoder lengthens some sounds and shortens others.

    Args:
        waveform: Speech at 16 kHz, shape `(samples,)`, not empty.
        rng: Random generator.

    Returns:
        A float32 waveform of 0.75 to 1.3 times the length, with a peak of 0.5.
    """
    spectrum = _stft(waveform / (np.abs(waveform).max() + 1e-9))
    envelope = _envelope(spectrum)
    wanted = _warp(envelope, rng)
    mean = wanted.mean(axis=1, keepdims=True)
    wanted = mean + (wanted - mean) * np.exp(rng.uniform(-0.5, 0.3))
    octaves = np.log2(np.maximum(np.arange(_NUM_BINS) / _NUM_BINS * 8, 0.25))
    wanted -= nepers(rng.uniform(-6, 6)) * octaves
    # Change the dynamic range, then add a random loudness curve.
    loudness = wanted.max(axis=1, keepdims=True)
    wanted += (loudness - loudness.max()) * (np.exp(rng.uniform(-0.25, 0.25)) - 1)
    wanted += nepers(3) * smooth_curve(len(wanted), 5, rng)[:, np.newaxis]
    spectrum = spectrum * np.exp(np.clip(wanted - envelope, -_MAX_GAIN, _MAX_GAIN))
    if rng.random() < 0.5:
        spectrum = _add_breath(spectrum, wanted, rng)
    changed = _istft(_stretch(spectrum, _rhythm(envelope, rng)))
    return (changed * (0.5 / (np.abs(changed).max() + 1e-9))).astype(np.float32)


def microphone(waveform: np.ndarray, rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Simulate a microphone, telephone or codec: a smooth frequency response and a limited band.

    Args:
        waveform: Shape `(samples,)`.
        rng: Random generator.
        sample_rate: Sample rate in Hz.

    Returns:
        A waveform of the same shape, float32.
    """
    frequencies_hz = np.fft.rfftfreq(len(waveform), 1 / sample_rate)
    octaves = np.log2(np.maximum(frequencies_hz, 60) / 60)
    knots = rng.normal(0, 5, 9)
    gains_db = np.interp(octaves / octaves[-1], np.linspace(0, 1, len(knots)), knots)
    if rng.random() < 0.6:
        below = np.log2(rng.uniform(60, 350) / np.maximum(frequencies_hz, 10))
        gains_db -= np.clip(below, 0, 4) * rng.uniform(6, 18)
    if rng.random() < 0.35:
        cutoff_hz = rng.uniform(3000, 7800)
        gains_db -= np.clip((frequencies_hz / cutoff_hz - 1) / 0.15, 0, 1) * rng.uniform(15, 50)
    return np.fft.irfft(np.fft.rfft(waveform) * 10 ** (gains_db / 20), len(waveform)).astype(np.float32)


def room(waveform: np.ndarray, rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Add an exponentially decaying tail of reverberation, 0 to 15 dB below the direct sound.

    Args:
        waveform: Shape `(samples,)`.
        rng: Random generator.
        sample_rate: Sample rate in Hz.

    Returns:
        A waveform of the same shape, float32.
    """
    decay_seconds = rng.uniform(0.1, 0.5)
    times = np.arange(round(decay_seconds * sample_rate)) / sample_rate
    tail = rng.standard_normal(len(times)) * 10 ** (-3 * times / decay_seconds)
    tail[: round(rng.uniform(0.001, 0.01) * sample_rate)] = 0
    tail *= 10 ** (-rng.uniform(0, 15) / 20) / np.linalg.norm(tail)
    tail[0] = 1
    return fftconvolve(waveform, tail)[: len(waveform)].astype(np.float32)


def prevoice(waveform: np.ndarray, rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Add prevoicing before an initial voiced plosive: a low murmur before its release.

    Many people begin "go" and "down" like this, but espeak-ng never does. A network trained without it mistakes the
    murmur for a nasal.

    Args:
        waveform: Trimmed speech that begins with a voiced plosive, shape `(samples,)`.
        rng: Random generator.
        sample_rate: Sample rate in Hz.

    Returns:
        A longer waveform: 20 to 120 ms of murmur, 14 to 34 dB below the peak, then the speech.
    """
    num_samples = round(rng.uniform(0.02, 0.12) * sample_rate)
    times = np.arange(num_samples) / sample_rate
    pitch_hz = rng.uniform(90, 260)
    harmonics = np.arange(1, max(2, int(500 / pitch_hz) + 1))
    tilt = 10 ** (-rng.uniform(6, 20) / 20 * np.log2(harmonics))
    murmur = np.sin(2 * np.pi * pitch_hz * times[:, np.newaxis] * harmonics) @ tilt
    murmur *= np.linspace(rng.uniform(0, 1), rng.uniform(0.5, 1), num_samples)
    murmur *= np.minimum(np.arange(num_samples) / (0.01 * sample_rate), 1)
    gain = np.abs(waveform).max() * 10 ** (-rng.uniform(14, 34) / 20) / (np.abs(murmur).max() + 1e-9)
    return np.concatenate([murmur * gain, waveform]).astype(np.float32)


def die_away(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Fade out a final vowel, treble first; espeak-ng ends it abruptly.

    Args:
        waveform: Speech at 16 kHz that ends with a vowel, shape `(samples,)`, not empty.
        rng: Random generator.

    Returns:
        A waveform of the same shape, float32: up to 80 % of it fades, by 2 to 60 dB at the end.
    """
    spectrum = _stft(waveform)
    start = rng.uniform(0.2, 0.9)
    course = np.clip((np.arange(len(spectrum)) * _HOP / len(waveform) - start) / (1 - start), 0, 1)
    khz = np.arange(_NUM_BINS) / _NUM_BINS * 8
    fall = nepers(rng.uniform(5, 30)) * course[:, np.newaxis] * (0.4 + np.minimum(khz / 2, 1.6))
    return _istft(spectrum * np.exp(-fall))[: len(waveform)].astype(np.float32)


def hold_closure(waveform: np.ndarray, rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Lengthen the closure before a final plosive, and weaken or remove its release.

    People keep their lips closed in "up" for up to a quarter of a second, and often do not release the plosive.

    Args:
        waveform: Trimmed speech without noise, shape `(samples,)`.
        rng: Random generator.
        sample_rate: Sample rate in Hz.

    Returns:
        A longer or shorter waveform. It is unchanged without a closure: a pause of at least 10 ms, 30 dB below the
        loudest frame of 5 ms, after this frame and followed by sound.
    """
    hop = sample_rate // 200
    frames = waveform[: len(waveform) // hop * hop].reshape(-1, hop)
    if not len(frames):
        return waveform
    levels_db = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-12)
    quiet = np.flatnonzero(levels_db < levels_db.max() - 30)
    quiet = quiet[quiet > levels_db.argmax()]
    # The closure is the last run of quiet frames, unless the word ends with it.
    runs = [run for run in np.split(quiet, np.flatnonzero(np.diff(quiet) > 1) + 1) if len(run) > 1]
    runs = [run for run in runs if run[-1] < len(frames) - 1]
    if not runs:
        return waveform
    middle = (runs[-1][0] + runs[-1][-1] + 1) * hop // 2
    release = waveform[middle:] * 10 ** (rng.uniform(-25, 3) / 20) * (rng.random() < 0.75)
    # The aspiration of espeak-ng lasts 100 ms and sounds like a fricative; that of people lasts 10 to 60 ms.
    begin = np.abs(release).argmax()
    fade = np.exp(-np.maximum(np.arange(len(release)) - begin, 0) / (rng.uniform(0.005, 0.04) * sample_rate))
    release = (release * fade).astype(np.float32)
    pause = np.zeros(round(0.25 * rng.random() ** 1.5 * sample_rate), np.float32)
    return np.concatenate([waveform[:middle], pause, release])


def cut_ends(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cut up to 10 % off the beginning or up to 15 % off the end, like voice activity detectors and hasty speakers.

    Args:
        waveform: Trimmed speech, shape `(samples,)`.
        rng: Random generator.

    Returns:
        A shorter waveform, with fades of at most 5 ms at the cuts.
    """
    start = round(rng.uniform(0, 0.1) * len(waveform)) if rng.random() < 0.5 else 0
    end = len(waveform) - round(rng.uniform(0, 0.15) * len(waveform))
    cut = waveform[start:end].copy()
    fade = np.linspace(0, 1, min(80, len(cut) // 4), dtype=np.float32)
    cut[: len(fade)] *= fade
    cut[len(cut) - len(fade) :] *= fade[::-1]
    return cut


def smooth_curve(length: int, num_knots: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a smooth curve through equidistant Gaussian values; shape `(length,)`."""
    knots = rng.standard_normal(num_knots)
    positions = np.linspace(0, num_knots - 1, length)
    left = np.minimum(positions.astype(int), num_knots - 2)
    weight = (1 - np.cos(np.pi * (positions - left))) / 2
    return knots[left] * (1 - weight) + knots[left + 1] * weight


def nepers(decibels: float) -> float:
    """Convert decibels to nepers, the natural logarithm of an amplitude."""
    return decibels * np.log(10) / 20


def _envelope(spectrum: np.ndarray) -> np.ndarray:
    """Return the spectral envelope in nepers, shape `(frames, bins)`."""
    cepstrum = np.fft.irfft(np.log(np.abs(spectrum) + 1e-6), _FRAME, axis=1)
    cepstrum[:, _ENVELOPE_ORDER : _FRAME - _ENVELOPE_ORDER + 1] = 0
    return np.fft.rfft(cepstrum, axis=1).real


def _warp(envelope: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    scale = rng.uniform(0.88, 1.12) * (1 + 0.05 * np.clip(smooth_curve(_NUM_BINS, 7, rng), -1.5, 1.5))
    drift = 1 + 0.03 * smooth_curve(len(envelope), 4, rng) * (rng.random() < 0.5)
    positions = np.clip(np.arange(_NUM_BINS) * scale * drift[:, np.newaxis], 0, _NUM_BINS - 1)
    lower = np.minimum(positions.astype(int), _NUM_BINS - 2)
    weight = positions - lower
    below = np.take_along_axis(envelope, lower, axis=1)
    return below + weight * (np.take_along_axis(envelope, lower + 1, axis=1) - below)


def _add_breath(spectrum: np.ndarray, envelope: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    khz = np.arange(_NUM_BINS) / _NUM_BINS * 8
    share = rng.uniform(0, 0.5) * np.clip((khz - rng.uniform(0, 4)) / 2, 0, 1)
    noise = (rng.standard_normal(spectrum.shape) + 1j * rng.standard_normal(spectrum.shape)) / np.sqrt(2)
    return spectrum * (1 - share) + share * noise * np.exp(envelope)


def _rhythm(envelope: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw the playback rate of every frame: weak sounds (consonants and closures) are slower than vowels.

    espeak-ng speaks single words with vowels that are too long and consonants that are too short.
    """
    loudness = envelope.max(axis=1)
    weakness = np.clip((loudness.max() - loudness) / nepers(25), 0, 1)
    rates = np.exp(0.25 * np.clip(smooth_curve(len(envelope), 5, rng), -1, 1) - rng.uniform(0, 1.3) * weakness)
    wanted_length = len(envelope) * np.exp(rng.uniform(-0.25, 0.25))
    return rates * np.sum(1 / rates) / wanted_length


def _stretch(spectrum: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Time-stretch every frame by its rate without changing the pitch, by a phase vocoder."""
    times = np.cumsum(1 / rates)
    frames = np.interp(np.arange(max(2, int(times[-1]))), times, np.arange(len(rates)))
    left = np.minimum(frames.astype(int), len(rates) - 2)
    weight = (frames - left)[:, np.newaxis]
    magnitude = np.abs(spectrum)
    magnitude = magnitude[left] * (1 - weight) + magnitude[left + 1] * weight
    advance = 2 * np.pi * _HOP / _FRAME * np.arange(_NUM_BINS)
    steps = advance + np.angle(spectrum[1:] * np.conj(spectrum[:-1]) * np.exp(-1j * advance))
    phases = np.angle(spectrum[0]) + np.concatenate([np.zeros((1, _NUM_BINS)), np.cumsum(steps[left[:-1]], axis=0)])
    return magnitude * np.exp(1j * phases)


def _stft(waveform: np.ndarray) -> np.ndarray:
    padded = np.pad(waveform, (_FRAME // 2, _FRAME))
    return np.fft.rfft(np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::_HOP] * _WINDOW, axis=1)


def _istft(spectrum: np.ndarray) -> np.ndarray:
    frames = np.fft.irfft(spectrum, _FRAME, axis=1) * _WINDOW
    overlap = _FRAME // _HOP
    padded = np.zeros((len(frames) + overlap - 1, _HOP))
    for part in range(overlap):
        padded[part : part + len(frames)] += frames[:, part * _HOP : (part + 1) * _HOP]
    # Four overlapping squared Hann windows add up to 1.5.
    return padded.ravel()[_FRAME // 2 : -_FRAME // 2] / 1.5
