"""Argument checks for the functions of `common.features.spectral` and the layers of `common.features`.

Example:
    >>> count("n_fft", 512, minimum=2)
    >>> count("num_mfcc", 41, maximum=40, why="num_mels is 40")
    Traceback (most recent call last):
    common.errors.UserError: num_mfcc is 41; use a whole number from 1 to 40 (num_mels is 40)
"""

import numbers
from collections.abc import Sequence

from common.errors import UserError, nearest


def count(name: str, value, minimum: int = 1, maximum: int | None = None, why: str = "") -> None:
    """Check that a value is an integer in a range.

    Args:
        name: Name of the argument.
        value: Value of the argument.
        minimum: Smallest valid number.
        maximum: Largest valid number; None for no limit.
        why: Reason for the largest number.

    Raises:
        UserError: The value is not an integer, or out of range.
    """
    if not isinstance(value, numbers.Integral) or value < minimum or (maximum is not None and value > maximum):
        bounds = f"of at least {minimum}" if maximum is None else f"from {minimum} to {maximum} ({why})"
        raise UserError(f"{name} is {value}; use a whole number {bounds}")


def choice(name: str, value, choices: Sequence) -> None:
    """Check that a value is one of the choices.

    Raises:
        UserError: It is not.
    """
    if value not in choices:
        valid = ", ".join(map(str, choices))
        hint = nearest(value, filter(None, choices)) if isinstance(value, str) else ""
        raise UserError(f"{name} is {value}; use one of {valid}.{hint}")


def framing(n_fft, hop_length, win_length=None, pad_mode="constant") -> None:
    """Check the framing arguments of `spectral.stft`.

    Raises:
        UserError: One of them is invalid.
    """
    count("n_fft", n_fft, minimum=2)
    count("hop_length", hop_length)
    count("win_length", n_fft if win_length is None else win_length, maximum=n_fft, why=f"n_fft is {n_fft}")
    choice("pad_mode", pad_mode, ("constant", "reflect"))


def bins(num_bins: int | None, n_fft: int) -> None:
    """Check that a spectrogram has the number of bins for `n_fft`; None is an unknown number.

    Raises:
        UserError: It has another number of bins.
    """
    expected = 1 + n_fft // 2
    if num_bins not in (None, expected):
        raise UserError(f"a spectrogram of {num_bins} bins does not match n_fft {n_fft}; expected {expected}")


def mel(sample_rate, num_mels, fmin_hz, fmax_hz, htk, norm) -> None:
    """Check the arguments of `spectral.mel_filterbank`.

    Raises:
        UserError: One of them is invalid.
    """
    count("sample_rate", sample_rate)
    count("num_mels", num_mels)
    choice("norm", norm, ("slaney", None))
    highest_hz = sample_rate / 2 if fmax_hz is None else fmax_hz
    if not 0 <= fmin_hz < highest_hz <= sample_rate / 2:
        raise UserError(
            f"mel bands from {fmin_hz} to {highest_hz} Hz are not possible; "
            f"use 0 <= fmin_hz < fmax_hz <= {sample_rate / 2:g}, half the sample rate"
        )


def decibels(ref=1.0, amin=1.0, top_db=None) -> None:
    """Check the arguments of `spectral.power_to_db`.

    Raises:
        UserError: One of them is invalid.
    """
    if isinstance(ref, str):
        choice("ref", ref, ("max",))
    if not amin > 0:
        raise UserError(f"amin is {amin}; use a number above 0, for example 1e-10")
    if top_db is not None and not top_db > 0:
        raise UserError(f"top_db is {top_db}; use a number above 0, or None for no floor")


def griffin_lim(num_iterations, momentum) -> None:
    """Check the arguments of `spectral.griffin_lim`.

    Raises:
        UserError: One of them is invalid.
    """
    count("num_iterations", num_iterations)
    if not 0 <= momentum < 1:
        raise UserError(f"momentum is {momentum}; use 0 or more and less than 1, for example 0.99")
