"""Test recordings in every format, intact and damaged in the ways in which recorders, networks and disks damage files.

The length of each recording is known, so that the output of a reader can be checked.
"""

import dataclasses
import io
import struct
from collections.abc import Callable

import numpy as np
import soundfile

SECONDS = 6.0
RATE = 22050
_OPUS_RATE = 24000
_KEPT = 0.6  # of a truncated file
_ZEROS = 5000
# Unreadable when truncated: the index of the samples is at the end of the file.
UNREADABLE = ("M4A AAC", "M4A ALAC")
_ID3 = b"ID3\x03\x00\x00\x00\x00\x08\x00" + bytes(1024)


@dataclasses.dataclass(frozen=True)
class Format:
    """An audio format.

    Attributes:
        name: Name in the table.
        suffix: File suffix.
        encode: Maps a waveform `(samples,)` and its sample rate to the bytes of a file.
        sample_rate: Sample rate in Hz.
        needs_ffmpeg: Whether only FFmpeg can read it.
        length: Returns, for the bytes of a file, the position and the `struct` format of each length field of its
            header.
    """

    name: str
    suffix: str
    encode: Callable[[np.ndarray, int], bytes]
    sample_rate: int = RATE
    needs_ffmpeg: bool = False
    length: Callable[[bytes], list[tuple[int, str]]] | None = None


def sound(sample_rate: int, seconds: float = SECONDS, seed: int = 0) -> np.ndarray:
    """Return one loud second, then quiet ones, so that the bit rate of a compressed file varies strongly."""
    noise = np.random.default_rng(seed).normal(0, 0.2, round(seconds * sample_rate))
    return np.where(np.arange(len(noise)) < sample_rate, noise, 0.01 * noise).astype(np.float32)


def _with_soundfile(**options) -> Callable[[np.ndarray, int], bytes]:
    def encode(waveform: np.ndarray, sample_rate: int) -> bytes:
        file = io.BytesIO()
        soundfile.write(file, waveform, sample_rate, **options)
        return file.getvalue()

    return encode


def _with_ffmpeg(container: str, codec: str) -> Callable[[np.ndarray, int], bytes]:
    def encode(waveform: np.ndarray, sample_rate: int) -> bytes:
        import av

        file = io.BytesIO()
        with av.open(file, "w", format=container) as target:
            stream = target.add_stream(codec, rate=sample_rate, layout="mono")
            stream.bit_rate = 64_000
            frame = av.AudioFrame.from_ndarray(waveform[np.newaxis], format="fltp", layout="mono")
            frame.sample_rate = sample_rate
            resampler = av.AudioResampler(stream.format, "mono", sample_rate, stream.codec_context.frame_size or None)
            for part in [*resampler.resample(frame), *resampler.resample(None), None]:
                target.mux(stream.encode(part))
        return file.getvalue()

    return encode


def _after(marker: bytes, offset: int, *formats: str) -> Callable[[bytes], list[tuple[int, str]]]:
    return lambda content: [(content.index(marker) + offset, kind) for kind in formats]


FORMATS = (
    Format("WAV 16", ".wav", _with_soundfile(format="WAV", subtype="PCM_16"), length=_after(b"data", 4, "<I")),
    Format("WAV 24", ".wav", _with_soundfile(format="WAV", subtype="PCM_24"), length=_after(b"data", 4, "<I")),
    Format("WAV float", ".wav", _with_soundfile(format="WAV", subtype="FLOAT"), length=_after(b"data", 4, "<I")),
    Format("RF64", ".wav", _with_soundfile(format="RF64", subtype="PCM_16"), length=_after(b"ds64", 16, "<Q")),
    Format("W64", ".w64", _with_soundfile(format="W64", subtype="PCM_16"), length=_after(b"data\xf3\xac", 16, "<Q")),
    Format("AIFF", ".aiff", _with_soundfile(format="AIFF", subtype="PCM_16"), length=_after(b"SSND", 4, ">I")),
    Format("AU", ".au", _with_soundfile(format="AU", subtype="PCM_16"), length=_after(b".snd", 8, ">I")),
    Format("CAF", ".caf", _with_soundfile(format="CAF", subtype="PCM_16"), length=_after(b"data", 4, ">Q")),
    Format("FLAC", ".flac", _with_soundfile(format="FLAC", subtype="PCM_16"), length=_after(b"fLaC", 21, "flac")),
    Format("MP3 CBR", ".mp3", _with_soundfile(format="MP3", bitrate_mode="CONSTANT", compression_level=0.5)),
    Format("MP3 VBR", ".mp3", _with_soundfile(format="MP3", bitrate_mode="VARIABLE", compression_level=0.2)),
    Format("Ogg Vorbis", ".ogg", _with_soundfile(format="OGG", subtype="VORBIS")),
    Format("Opus", ".opus", _with_soundfile(format="OGG", subtype="OPUS"), _OPUS_RATE),
    Format("M4A AAC", ".m4a", _with_ffmpeg("ipod", "aac"), needs_ffmpeg=True),
    Format("M4A ALAC", ".m4a", _with_ffmpeg("ipod", "alac"), needs_ffmpeg=True),
    Format("AAC", ".aac", _with_ffmpeg("adts", "aac"), needs_ffmpeg=True),
    Format("WMA", ".wma", _with_ffmpeg("asf", "wmav2"), needs_ffmpeg=True),
    Format("WebM", ".webm", _with_ffmpeg("webm", "libopus"), _OPUS_RATE, needs_ffmpeg=True),
)


@dataclasses.dataclass(frozen=True)
class Case:
    """A damaged file.

    Attributes:
        content: The bytes of the file.
        seconds: Length of the readable audio; None if nothing is readable.
        is_said: Whether a reader must report that something is missing.
        tolerance: In seconds.
    """

    content: bytes
    seconds: float | None
    is_said: bool = False
    tolerance: float = 0.1


def damage(recording: Format, seed: int = 0) -> dict[str, Case]:
    """Damage a file of a format in every way; the audio depends on the seed."""
    waveform = sound(recording.sample_rate, seed=seed)
    whole = recording.encode(waveform, recording.sample_rate)
    cases = {
        "whole": Case(whole, SECONDS),
        "truncated": _truncated(recording, whole),
        "joined": Case(whole + whole, 2 * SECONDS, tolerance=0.2 if "AAC" in recording.name else 0.1),
        "zeros behind": Case(whole + bytes(_ZEROS), SECONDS),
        "zeros in front": Case(bytes(_ZEROS) + whole, SECONDS),
        "ID3 tag in front": Case(_ID3 + whole, SECONDS),
        "ID3 tag behind": Case(whole + b"TAG".ljust(128, b" "), SECONDS),
    }
    if recording.length:
        for name in ("zero", "all bits", "half", "twice"):
            content = _with_length(recording, whole, name, len(waveform))
            cases[f"length: {name}"] = Case(content, SECONDS, is_said=name == "twice")
    return cases


def _truncated(recording: Format, whole: bytes) -> Case:
    """Truncate a file; if bytes are not proportional to time, the remaining length is read from its headers."""
    kept = whole[: round(_KEPT * len(whole))]
    if recording.name in UNREADABLE:
        return Case(kept, None)
    if recording.name in ("Ogg Vorbis", "Opus"):
        # Whole pages: each states the number of samples up to its end. The last page is incomplete.
        at = kept.rindex(b"OggS", 0, kept.rindex(b"OggS"))
        seconds = int.from_bytes(kept[at + 6 : at + 14], "little") / (48000 if recording.name == "Opus" else RATE)
        return Case(kept, seconds, is_said=True)
    if recording.name == "FLAC":
        # A byte of the loud second holds less audio than a byte of the quiet ones.
        file, num_samples = soundfile.SoundFile(io.BytesIO(kept)), 0
        try:
            while len(block := file.read(256)):
                num_samples += len(block)
        except soundfile.LibsndfileError:
            pass
        return Case(kept, num_samples / RATE, is_said=True, tolerance=0.2)
    # AAC streams do not state their length; packets of WMA and WebM are some tenths of a second long.
    return Case(kept, _KEPT * SECONDS, recording.name != "AAC", 0.2 if recording.needs_ffmpeg else 0.1)


def _with_length(recording: Format, whole: bytes, value: str, num_samples: int) -> bytes:
    changed = bytearray(whole)
    for at, kind in recording.length(whole):
        if kind == "flac":  # 36 bits, of which the first four share a byte
            stated = {"zero": 0, "all bits": 2**36 - 1, "half": num_samples // 2, "twice": 2 * num_samples}[value]
            changed[at] = changed[at] & 0xF0 | stated >> 32
            changed[at + 1 : at + 5] = (stated % 2**32).to_bytes(4, "big")
            continue
        size = struct.calcsize(kind)
        (true,) = struct.unpack_from(kind, whole, at)
        stated = {"zero": 0, "all bits": 2 ** (8 * size) - 1, "half": true // 4 * 2, "twice": 2 * true}[value]
        struct.pack_into(kind, changed, at, stated)
    return bytes(changed)
