"""Good files of sound, and archives of them."""

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.fuzzing.mutations import Input

_RATE = 8000
_ENCODINGS = {
    "wav": (
        "WAV",
        ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "IMA_ADPCM", "MS_ADPCM", "GSM610"),
    ),
    "wavex.wav": ("WAVEX", ("PCM_16", "FLOAT")),
    "rf64": ("RF64", ("PCM_16",)),
    "w64": ("W64", ("PCM_16",)),
    "aiff": ("AIFF", ("PCM_S8", "PCM_16", "PCM_24", "FLOAT", "IMA_ADPCM")),
    "au": ("AU", ("PCM_16", "FLOAT", "ALAW")),
    "flac": ("FLAC", ("PCM_S8", "PCM_16", "PCM_24")),
    "ogg": ("OGG", ("VORBIS",)),
    "opus": ("OGG", ("OPUS",)),
    "mp3": ("MP3", ("MPEG_LAYER_III",)),
    "caf": ("CAF", ("PCM_16", "FLOAT", "ALAC_16")),
    "voc": ("VOC", ("PCM_16",)),
    "svx": ("SVX", ("PCM_16",)),
    "nist": ("NIST", ("PCM_16",)),
    "paf": ("PAF", ("PCM_16",)),
    "mat": ("MAT5", ("PCM_16",)),
    "ircam": ("IRCAM", ("PCM_16",)),
    "avr": ("AVR", ("PCM_16",)),
    "htk": ("HTK", ("PCM_16",)),
    "sds": ("SDS", ("PCM_16",)),
    "pvf": ("PVF", ("PCM_16",)),
    "xi": ("XI", ("DPCM_16",)),
}
# Other kinds of file that libsndfile knows are tried too, but less often.
_COMMON = ("wav", "rf64", "w64", "aiff", "au", "flac", "ogg", "opus", "mp3", "caf")


def audio_files(folder: Path) -> list[Input]:
    """Return a recording of 0.2 s in every format and encoding that soundfile writes."""
    rng = np.random.default_rng(0)
    found = []
    for suffix, (name, subtypes) in _ENCODINGS.items():
        for subtype in subtypes:
            # GSM and some others know one channel alone.
            for num_channels in (1, 2) if suffix in ("wav", "flac", "ogg", "opus", "mp3", "caf") else (1,):
                content = _encode(rng, name, subtype, num_channels)
                if content:
                    found += [{f"recording.{suffix}": content}] * (3 if suffix in _COMMON else 1)
    return found


def _encode(rng: np.random.Generator, name: str, subtype: str, num_channels: int) -> bytes:
    tone = np.sin(np.arange(_RATE // 5) * 0.3)[:, None] * 0.3 + rng.normal(0, 0.01, (_RATE // 5, num_channels))
    target = io.BytesIO()
    try:
        soundfile.write(target, tone, _RATE, subtype=subtype, format=name)
    except (soundfile.LibsndfileError, ValueError):
        return b""
    return target.getvalue()


def recording() -> bytes:
    """Return a short WAV file."""
    return _encode(np.random.default_rng(0), "WAV", "PCM_16", 1)


def archives(folder: Path) -> list[Input]:
    """Return archives of three files of every kind that can be unpacked."""
    contents = {"yes/a_nohash_0.wav": recording(), "no/b_nohash_0.wav": recording(), "LICENSE": b"free " * 500}
    found = []
    for mode, suffix in (("w", "tar"), ("w:gz", "tar.gz"), ("w:bz2", "tar.bz2"), ("w:xz", "tar.xz")):
        for tar_format in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
            target = io.BytesIO()
            with tarfile.open(fileobj=target, mode=mode, format=tar_format) as archive:
                for name, content in contents.items():
                    entry = tarfile.TarInfo(name)
                    entry.size = len(content)
                    archive.addfile(entry, io.BytesIO(content))
            found.append({f"archive.{suffix}": target.getvalue()})
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", compression) as archive:
            for name, content in contents.items():
                archive.writestr(name, content)
        found += [{"archive.zip": target.getvalue()}] * 2
    return found
