"""Number of frames of a waveform."""

from common.errors import UserError


def num_frames(samples: int, n_fft: int, hop_length: int, center: bool = True, pad_mode: str = "constant") -> int:
    """Return the number of frames of `stft` for a waveform.

    Raises:
        UserError: The waveform is too short for one frame or for reflection.

    Example:
        >>> num_frames(22050, n_fft=2048, hop_length=512)
        44
    """
    margin = n_fft // 2 if center else 0
    if center and pad_mode == "reflect" and samples <= margin:
        raise UserError(
            f"{samples} samples are too short to reflect {margin}; use pad_mode=constant or a smaller n_fft"
        )
    if samples + 2 * margin < n_fft:
        raise UserError(
            f"a waveform of {samples} samples is shorter than one frame of {n_fft}; "
            "use a longer waveform or a smaller n_fft"
        )
    return 1 + (samples + 2 * margin - n_fft) // hop_length
