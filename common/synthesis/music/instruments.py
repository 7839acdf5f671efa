"""Synthetic musical instruments: strings, keys, pads and a distorted guitar; and reverberation.

A note is a float32 waveform, shape `(samples,)`, whose peak is its velocity (0 to 1). The properties of the instrument
(pitch, decay, brightness, …) are arguments; small random variations come from `rng`, so no two notes are equal.
Oscillators are sums of harmonics below the Nyquist frequency, and distortion is oversampled, which avoids aliasing at
any sample rate.
"""

import numpy as np
from scipy.signal import fftconvolve, lfilter, resample_poly

from common.synthesis.music.waves import HIGHEST_PARTIAL, about_one, filtered, finish, sample_times

_OVERSAMPLING = 8


def bass(
    pitch_hz: float,
    seconds: float,
    sample_rate: int,
    rng: np.random.Generator,
    velocity: float = 1.0,
    brightness: float = 0.5,
    decay_seconds: float = 1.5,
) -> np.ndarray:
    """Play a bass: a sawtooth whose upper harmonics decay first, like a closing low-pass filter.

    Args:
        pitch_hz: Fundamental frequency.
        seconds: Length of the note; its release takes 0.04 s more.
        sample_rate: Sample rate in Hz.
        rng: Random generator for small variations.
        velocity: 0 to 1.
        brightness: 0 (nearly a sine) to 1.
        decay_seconds: Time in which the note loses 20 dB.
    """
    times = sample_times(seconds + 0.04, sample_rate)
    brightness = brightness * (0.6 + 0.4 * velocity) * about_one(rng, 0.06)
    radius = 0.45 + 0.5 * brightness * np.exp(-times * 5 * about_one(rng, 0.2))
    amplitudes = 1 / np.arange(1, 41)
    pitch_hz = pitch_hz * about_one(rng, 0.001)
    note = _harmonics(_phase(pitch_hz, times), pitch_hz, amplitudes, sample_rate, rng, np.minimum(radius, 0.95))
    return finish(note * 10 ** (-times / decay_seconds), velocity, sample_rate, release_seconds=0.04)


def plucked_string(
    pitch_hz: float,
    seconds: float,
    sample_rate: int,
    rng: np.random.Generator,
    velocity: float = 1.0,
    brightness: float = 0.5,
    decay_seconds: float = 3.0,
) -> np.ndarray:
    """Pluck a string by Karplus-Strong synthesis (1983): a noise burst circulates in a damped delay line.

    The loop has a symmetric loss filter and a fractional delay by Lagrange interpolation (Laakso et al., 1996), so the
    string is in tune at any sample rate.

    Args:
        pitch_hz: Fundamental frequency, below a sixth of the sample rate.
        seconds: Length of the note; its release takes 0.05 s more.
        sample_rate: Sample rate in Hz.
        rng: Random generator for the burst, which determines the timbre.
        velocity: 0 to 1; a softer note is darker.
        brightness: 0 (dull) to 1.
        decay_seconds: Time in which the fundamental loses 60 dB.

    Raises:
        ValueError: The pitch is too high for the sample rate.
    """
    if not 0 < pitch_hz < sample_rate / 6:
        raise ValueError(f"expected a pitch below {sample_rate / 6} Hz; received {pitch_hz}")
    period = sample_rate / (pitch_hz * about_one(rng, 0.0005))
    decay_seconds *= about_one(rng, 0.1)
    brightness = float(np.clip(brightness * (0.7 + 0.3 * velocity) * about_one(rng, 0.1), 0, 1))
    num_samples = round((seconds + 0.05) * sample_rate)
    burst = rng.uniform(-1, 1, int(period) + 1)
    # Plucking removes the harmonics with a node at the plucking position, and a soft pick removes treble.
    place = max(1, int(rng.uniform(0.1, 0.25) * period))
    burst = burst - np.concatenate([np.zeros(place), burst[:-place]])
    smoothing = np.exp(-2 * np.pi * (800 + 7000 * brightness) / sample_rate)
    burst = lfilter([1 - smoothing], [1, -smoothing], burst - burst.mean())
    excitation = np.zeros(num_samples)
    excitation[: min(len(burst), num_samples)] = burst[:num_samples]
    # The loss per second grows with the square of the frequency and does not depend on the sample rate.
    loss = min(0.25, (0.03 + 0.25 * (1 - brightness)) * (sample_rate / 16000) ** 2 * pitch_hz**-0.5)
    gain = 10 ** (-3 / (pitch_hz * decay_seconds))
    delay = int(period) - 2
    taps = np.convolve(gain * np.array([loss, 1 - 2 * loss, loss]), _lagrange(period - int(period)))
    denominator = np.zeros(delay + len(taps))
    denominator[0] = 1
    denominator[delay:] -= taps
    return finish(lfilter([1.0], denominator, excitation), velocity, sample_rate, release_seconds=0.05)


def electric_piano(
    pitch_hz: float,
    seconds: float,
    sample_rate: int,
    rng: np.random.Generator,
    velocity: float = 1.0,
    brightness: float = 0.5,
    decay_seconds: float = 1.5,
) -> np.ndarray:
    """Play an electric piano: a tone that darkens over time, plus the ring of the tine; arguments as for `bass`."""
    times = sample_times(seconds + 0.08, sample_rate)
    pitch_hz = pitch_hz * about_one(rng, 0.001)
    phase = _phase(pitch_hz, times)
    radius = 0.35 + 0.55 * brightness * velocity * np.exp(-times * 3 * about_one(rng, 0.2))
    note = _harmonics(phase, pitch_hz, np.arange(1, 21) ** -0.7, sample_rate, rng, np.minimum(radius, 0.95))
    tine = np.zeros(12)
    tine[[6, 11]] = 1, 0.3
    ring = _harmonics(phase, pitch_hz, tine, sample_rate, rng) * np.exp(-times / 0.12)
    note = (note + 0.25 * velocity * ring) * 10 ** (-times / decay_seconds)
    return finish(note, velocity, sample_rate, release_seconds=0.08)


def organ(
    pitch_hz: float,
    seconds: float,
    sample_rate: int,
    rng: np.random.Generator,
    velocity: float = 1.0,
    brightness: float = 0.5,
) -> np.ndarray:
    """Play an organ: nine drawbars from the sub-octave to the eighth harmonic, with a rotating loudspeaker."""
    times = sample_times(seconds + 0.06, sample_rate)
    half_hz = pitch_hz / 2 * about_one(rng, 0.0005)
    rotation = np.sin(2 * np.pi * (rng.uniform(5.5, 6.8) * times + rng.random()))
    drawbars = np.zeros(16)
    drawbars[[0, 1, 2, 3, 5, 7, 9, 11, 15]] = np.array([0.5, 1, 0.5, 0.8, 0.6, 0.6, 0.3, 0.3, 0.4]) * (
        (0.4 + 0.6 * brightness) ** np.arange(9)
    )
    phase = _phase(half_hz, times) + 0.12 * rotation
    note = _harmonics(phase, half_hz * 1.02, drawbars, sample_rate, rng) * (1 + 0.1 * rotation)
    return finish(note, velocity, sample_rate, attack_seconds=0.01, release_seconds=0.06)


def pad(
    pitch_hz: float,
    seconds: float,
    sample_rate: int,
    rng: np.random.Generator,
    velocity: float = 1.0,
    brightness: float = 0.5,
    attack_seconds: float = 0.12,
) -> np.ndarray:
    """Play a pad: three sawtooth waves, detuned by a few cents, with slow attack and release."""
    times = sample_times(seconds + 0.25, sample_rate)
    radius = 0.55 + 0.4 * min(1.0, brightness * about_one(rng, 0.1))
    amplitudes = 1 / np.arange(1, 61)
    note = np.zeros(len(times))
    for cents in (-7, 0, 7):
        detuned_hz = pitch_hz * 2 ** ((cents + rng.normal(0, 1.5)) / 1200)
        note += _harmonics(_phase(detuned_hz, times, rng), detuned_hz, amplitudes, sample_rate, rng, radius)
    return finish(note, velocity, sample_rate, attack_seconds=attack_seconds, release_seconds=0.25)


def lead(
    pitch_hz: float,
    seconds: float,
    sample_rate: int,
    rng: np.random.Generator,
    velocity: float = 1.0,
    brightness: float = 0.5,
) -> np.ndarray:
    """Play a bowed or blown lead: a sawtooth with delayed vibrato, like a voice."""
    times = sample_times(seconds + 0.06, sample_rate)
    depth = rng.uniform(0.002, 0.008) * np.clip((times - 0.15) / 0.3, 0, 1)
    wave = np.sin(2 * np.pi * (rng.uniform(4.8, 6.5) * times + rng.random()))
    pitch = pitch_hz * about_one(rng, 0.0015) * (1 + depth * wave)
    phase = 2 * np.pi * np.cumsum(pitch) / sample_rate
    radius = 0.6 + 0.36 * min(1.0, brightness * (0.6 + 0.4 * velocity))
    note = _harmonics(phase, pitch_hz * 1.02, 1 / np.arange(1, 51), sample_rate, rng, radius)
    return finish(note, velocity, sample_rate, attack_seconds=0.03, release_seconds=0.06)


def power_chord_strings(
    pitch_hz: float,
    seconds: float,
    sample_rate: int,
    rng: np.random.Generator,
    velocity: float = 1.0,
    muted: bool = False,
    brightness: float = 0.7,
) -> np.ndarray:
    """Pluck root, fifth and octave: the clean guitar signal for `guitar_amplifier`.

    Args:
        pitch_hz: Fundamental frequency of the root.
        seconds: Length of the chord.
        sample_rate: Sample rate in Hz.
        rng: Random generator for small variations.
        velocity: 0 to 1.
        muted: Whether the chord is palm-muted: short and dark.
        brightness: 0 (dull) to 1.
    """
    decay_seconds, brightness = (0.2, 0.5 * brightness) if muted else (5.0, brightness)
    chord = np.zeros(round((seconds + 0.08) * sample_rate))
    for ratio, level in ((1.0, 1.0), (1.5, 0.7), (2.0, 0.5)):
        string = plucked_string(
            ratio * pitch_hz * about_one(rng, 0.001), seconds, sample_rate, rng, level, brightness, decay_seconds
        )
        # The strings are plucked within 4 ms.
        begin = round(rng.uniform(0, 0.004) * sample_rate)
        part = string[: len(chord) - begin]
        chord[begin : begin + len(part)] += part
    return finish(chord, velocity, sample_rate)


def power_chord(
    pitch_hz: float,
    seconds: float,
    sample_rate: int,
    rng: np.random.Generator,
    velocity: float = 1.0,
    muted: bool = False,
    drive: float = 20.0,
) -> np.ndarray:
    """Play a power chord on a distorted guitar: `power_chord_strings` through `guitar_amplifier`."""
    strings = power_chord_strings(pitch_hz, seconds, sample_rate, rng, 1.0, muted)
    return finish(guitar_amplifier(strings, sample_rate, drive), velocity, sample_rate, release_seconds=0.03)


def guitar_amplifier(
    waveform: np.ndarray, sample_rate: int, drive: float = 20.0, presence_hz: float = 2500.0
) -> np.ndarray:
    """Distort a guitar signal and apply a loudspeaker cabinet.

    A high-pass reduces the low strings, an asymmetric tanh at eight times the sample rate distorts, and the cabinet
    passes 80 Hz to 5 kHz with a resonance.

    Args:
        waveform: Clean guitar signal, shape `(samples,)`, peak about 1.
        sample_rate: Sample rate in Hz.
        drive: Gain before the tanh: 2 for crunch, 50 for long sustain.
        presence_hz: Resonance of the cabinet.

    Returns:
        float32 of the same shape, within about [-1, 1].
    """
    tight = filtered(waveform, 1, "highpass", 150, sample_rate)
    bent = np.tanh(drive * resample_poly(tight, _OVERSAMPLING, 1) + 0.2) - np.tanh(0.2)
    # The low-pass of the cabinet removes most of the treble before downsampling.
    bent = filtered(bent, 4, "lowpass", min(5000, 0.45 * sample_rate), _OVERSAMPLING * sample_rate)
    bent = filtered(resample_poly(bent, 1, _OVERSAMPLING), 2, "highpass", 80, sample_rate)
    resonance = filtered(bent, 1, "lowpass", 1.4 * presence_hz, sample_rate)
    bent = bent + filtered(resonance, 1, "highpass", 0.7 * presence_hz, sample_rate)
    return (0.6 * bent).astype(np.float32)


def room(
    waveform: np.ndarray, sample_rate: int, rng: np.random.Generator, decay_seconds: float, level: float
) -> np.ndarray:
    """Add reverberation: an exponentially decaying noise tail, independent for each channel.

    Args:
        waveform: Shape `(samples, channels)`.
        sample_rate: Sample rate in Hz.
        rng: Random generator for the tail.
        decay_seconds: Time in which the tail loses 60 dB.
        level: Energy of the tail relative to the direct sound.

    Returns:
        float32 of the same shape; the tail after the end is cut off.
    """
    times = sample_times(decay_seconds, sample_rate)
    tail = rng.standard_normal((len(times), waveform.shape[1])) * 10 ** (-3 * times / decay_seconds)[:, np.newaxis]
    tail[: round(0.012 * sample_rate)] = 0
    # Walls absorb treble, and a room has no modes below its lowest one.
    tail = filtered(filtered(tail, 1, "lowpass", 5000, sample_rate), 1, "highpass", 150, sample_rate)
    tail *= np.sqrt(level / np.square(tail).sum(axis=0))
    return (waveform + fftconvolve(waveform, tail, axes=0)[: len(waveform)]).astype(np.float32)


def midi_to_hz(note: float | np.ndarray) -> float | np.ndarray:
    """Return the frequency of a MIDI note: 69 is the A at 440 Hz, 12 notes are an octave."""
    return 440.0 * 2 ** ((note - 69) / 12)


def _phase(pitch_hz: float, times: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
    return 2 * np.pi * (pitch_hz * times + (rng.random() if rng else 0.0))


def _harmonics(phase, highest_hz, amplitudes, sample_rate, rng, radius=1.0):
    """Return the sum over k of `amplitudes[k - 1] * radius**k * sin(k * phase)`, up to the Nyquist frequency.

    Horner's rule on complex numbers takes one multiplication per harmonic. A radius below 1, which may vary over time,
    acts as a low-pass with a constant ratio between successive harmonics.
    """
    amplitudes = np.asarray(amplitudes)[: max(1, int(HIGHEST_PARTIAL * sample_rate / highest_hz))]
    amplitudes = amplitudes * np.exp(1j * rng.normal(0, 0.6, len(amplitudes)))
    ratio = (radius * np.exp(1j * phase)).astype(np.complex64)
    total = np.full(len(phase), amplitudes[-1], np.complex64)
    for amplitude in amplitudes[-2::-1]:
        total *= ratio
        total += np.complex64(amplitude)
    return (total * ratio).imag.astype(np.float64)


def _lagrange(fraction: float) -> np.ndarray:
    """Return the four taps that delay by `1 + fraction` samples, 0 <= fraction < 1."""
    delay, points = 1 + fraction, np.arange(4)
    return np.array([np.prod([(delay - m) / (n - m) for m in points if m != n]) for n in points])
