"""A vocoder for singing: analyses speech and resynthesizes it at any pitch.

`speech_frames` analyses speech into spectral envelopes and voicing; `voice` synthesizes speech or singing from them.
"""

from typing import NamedTuple

import numpy as np
import scipy.fft
from scipy.signal import find_peaks

VOICE_RATE = 22050
VOICE_HOP = 110
VOICE_ORDER = 48
_VOICE_FFT, _VOICE_WINDOW, _NOISE_WINDOW = 1024, 660, 440
_PULSES_AT_ONCE = 1024


class SpeechFrames(NamedTuple):
    """Analysed speech, one frame every `VOICE_HOP` samples at `VOICE_RATE`.

    `cepstrum` is the real cepstrum of the amplitude envelope, including the level: shape `(frames, coefficients)`.
    `voicing` is the periodicity, from 0 (noise) to 1: shape `(frames,)`.
    `level` is the amplitude of voiced sound: shape `(frames,)`.
    """

    cepstrum: np.ndarray
    voicing: np.ndarray
    level: np.ndarray


def speech_frames(waveform: np.ndarray) -> SpeechFrames:
    """Analyse speech for synthesis with another pitch and rhythm.

    The envelope is the "true envelope" (Röbel and Rodet, 2005): a smooth curve over the peaks of the harmonics.

    Args:
        waveform: Speech of constant pitch at `VOICE_RATE`, shape `(samples,)`, not empty. A low pitch is best, since
            its harmonics sample the envelope densely.
    """
    padded = np.pad(waveform.astype(np.float32), (_VOICE_WINDOW // 2, _VOICE_WINDOW))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _VOICE_WINDOW)[::VOICE_HOP]
    window = np.hanning(_VOICE_WINDOW + 2)[1:-1].astype(np.float32)
    spectrum = scipy.fft.rfft(frames * window, _VOICE_FFT)
    log_amplitude = np.log(np.abs(spectrum) / window.sum() + 1e-6)
    target = log_amplitude
    for _ in range(6):
        cepstrum = scipy.fft.irfft(target, _VOICE_FFT)[:, :VOICE_ORDER]
        smooth = np.fft.rfft(_folded(cepstrum), _VOICE_FFT).real.astype(np.float32)
        target = np.maximum(target, smooth)
    # Periodicity: the highest peak of the autocorrelation between 70 and 400 Hz, corrected for the window.
    correlation = scipy.fft.irfft(np.abs(scipy.fft.rfft(frames * window, 2 * _VOICE_FFT)) ** 2)
    own = scipy.fft.irfft(np.abs(scipy.fft.rfft(window, 2 * _VOICE_FFT)) ** 2)
    lags = slice(VOICE_RATE // 400, VOICE_RATE // 70)
    peaks = (correlation[:, lags] / own[lags]).max(axis=1) / (correlation[:, 0] / own[0] + 1e-12)
    voicing = np.clip((peaks - 0.45) / 0.25, 0, 1)
    level = np.sqrt(correlation[:, 0].clip(0) / own[0]) * voicing
    return SpeechFrames(cepstrum, voicing.astype(np.float32), level.astype(np.float32))


def syllable_nuclei(frames: SpeechFrames) -> list[tuple[int, int, int]]:
    """Find the vowels of a word by their loudness: first frame, loudest frame and end frame of each, at least one."""
    kernel = np.hanning(11)[1:-1]
    level = np.convolve(frames.level, kernel / kernel.sum(), "same")
    tops, _ = find_peaks(np.pad(level, 1), height=0.3 * level.max(), prominence=0.2 * level.max(), distance=20)
    tops = tops - 1 if len(tops) else np.array([int(level.argmax())])
    nuclei = []
    for number, top in enumerate(tops):
        lower = tops[number - 1] + int(level[tops[number - 1] : top].argmin()) if number else 0
        upper = top + int(level[top : tops[number + 1]].argmin()) if number + 1 < len(tops) else len(level)
        quiet = level < 0.45 * level[top]
        before, after = np.flatnonzero(quiet[lower:top]), np.flatnonzero(quiet[top:upper])
        first = lower + int(before[-1]) + 1 if len(before) else lower
        end = top + int(after[0]) if len(after) else upper
        nuclei.append((first, int(top), max(end, top + 1)))
    return nuclei


def voice(
    cepstrum: np.ndarray,
    voicing: np.ndarray,
    gain: np.ndarray,
    pitch_hz: np.ndarray,
    rng: np.random.Generator,
    breath: float = 0.3,
) -> np.ndarray:
    """Synthesize frames: one pulse per period plus noise, both filtered by the envelope of the frame.

    Each pulse is the minimum-phase response of the envelope of its frame, placed with sub-sample accuracy. The
    harmonics are therefore exact, without aliasing.

    Args:
        cepstrum: As in `SpeechFrames`, shape `(frames, coefficients)`.
        voicing: 0 to 1, shape `(frames,)`.
        gain: Amplitude factor, shape `(frames,)`.
        pitch_hz: Fundamental frequency, shape `(frames,)`.
        rng: Random generator for noise and shimmer.
        breath: Fraction of noise in the treble of voiced sound, 0 to 1.

    Returns:
        float32, shape `(frames * VOICE_HOP,)`, at `VOICE_RATE`.
    """
    num_frames = len(cepstrum)
    num_samples = num_frames * VOICE_HOP
    output = np.zeros(num_samples + 2 * _VOICE_FFT, np.float32)
    frequencies_hz = np.fft.rfftfreq(_VOICE_FFT, 1 / VOICE_RATE)
    treble = (breath * np.clip((frequencies_hz - 2000) / 6000, 0, 1)).astype(np.float32)
    # The high-pass removes the DC offset of pulses of one sign.
    harmonic_share = (1 - treble) * np.clip((frequencies_hz - 30) / 40, 0, 1).astype(np.float32)
    positions = np.arange(num_samples) / VOICE_HOP
    cycles = np.cumsum(np.interp(positions, np.arange(num_frames), pitch_hz)) / VOICE_RATE
    pulses = np.interp(np.arange(1, int(cycles[-1]) + 1), cycles, np.arange(num_samples))
    frame = pulses / VOICE_HOP
    strength = np.interp(frame, np.arange(num_frames), voicing * gain)
    audible = strength > 1e-4
    pulses, frame, strength = pulses[audible], frame[audible], strength[audible]
    # The amplitude of a harmonic is twice the response over the period. The random factor adds shimmer.
    period = VOICE_RATE / np.interp(frame, np.arange(num_frames), pitch_hz)
    strength = strength * np.sqrt(period * 120) * (1 + 0.02 * rng.standard_normal(len(pulses)))
    left = np.minimum(frame.astype(int), num_frames - 2)
    weight = (frame - left)[:, np.newaxis].astype(np.float32)
    for first in range(0, len(pulses), _PULSES_AT_ONCE):
        part = slice(first, first + _PULSES_AT_ONCE)
        mixed = cepstrum[left[part]] * (1 - weight[part]) + cepstrum[left[part] + 1] * weight[part]
        log_spectrum = scipy.fft.rfft(_folded(mixed).astype(np.float32), _VOICE_FFT)
        whole = np.floor(pulses[part]).astype(int)
        late = (pulses[part] - whole).astype(np.float32)
        log_spectrum -= 2j * np.pi / VOICE_RATE * late[:, np.newaxis] * frequencies_hz.astype(np.float32)
        response = scipy.fft.irfft(np.exp(log_spectrum.astype(np.complex64)) * harmonic_share, _VOICE_FFT)
        response *= strength[part, np.newaxis].astype(np.float32)
        for begin, samples in zip(whole, response, strict=True):
            output[begin : begin + _VOICE_FFT] += samples
    output[:num_samples] += _voice_noise(cepstrum, voicing, gain, treble, rng)
    return output[:num_samples]


def _voice_noise(cepstrum, voicing, gain, treble, rng):
    """Return the noise part, shape `(frames * VOICE_HOP,)`: the unvoiced sound, and breath in the treble."""
    num_frames = len(cepstrum)
    window = np.sqrt(np.hanning(_NOISE_WINDOW + 1)[:-1]).astype(np.float32)
    noise = rng.standard_normal((num_frames + _NOISE_WINDOW // VOICE_HOP) * VOICE_HOP, dtype=np.float32)
    spectrum = scipy.fft.rfft(
        np.lib.stride_tricks.sliding_window_view(noise, _NOISE_WINDOW)[::VOICE_HOP][:num_frames] * window, _VOICE_FFT
    )
    amplitude = np.exp(scipy.fft.rfft(_folded(cepstrum).astype(np.float32), _VOICE_FFT).real)
    voiced = voicing[:, np.newaxis]
    amplitude *= gain[:, np.newaxis] * np.sqrt((1 - voiced) + voiced * treble**2)
    # Correct the level of noise for the analysis window: root of its energy over its sum.
    amplitude *= _VOICE_WINDOW / 2 / np.sqrt(0.375 * _VOICE_WINDOW)
    frames = scipy.fft.irfft(spectrum * amplitude, _VOICE_FFT)[:, :_NOISE_WINDOW] * window
    parts = _NOISE_WINDOW // VOICE_HOP
    output = np.zeros((num_frames + parts - 1, VOICE_HOP), np.float32)
    for part in range(parts):
        output[part : part + num_frames] += frames[:, part * VOICE_HOP : (part + 1) * VOICE_HOP]
    # The squared windows add up to half their number, and the centre of a window is two hops after its start.
    return output.ravel()[_NOISE_WINDOW // 2 :][: num_frames * VOICE_HOP] / (parts / 2)


def _folded(cepstrum: np.ndarray) -> np.ndarray:
    """Double all but the first coefficient: the result is the cepstrum of the minimum-phase response."""
    folded = cepstrum.copy()
    folded[:, 1:] *= 2
    return folded
