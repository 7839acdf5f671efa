"""Synthetic songs with stems, composed, sung and rendered in code, for source separation.

Tempo, key, chords, patterns, instruments, levels and voice of a song are drawn from its number;
`common.synthesis.music` renders it. espeak-ng speaks the words; a vocoder sings them on a melody in the scale of the
song, with vibrato, or raps them on the beat. The level of the voice, while it sounds, is within 2 dB of the sum of the
other stems. It overlaps in frequency with chords, melodies and drums, so no fixed filter separates them. The style
`metal` has no voice: riffs of palm-muted power chords with bass and double kick, for music generation.

Files are `<root>/<settings>/song_0000/{mixture,vocals,drums,bass,other}.wav` and so on, 16-bit WAV. The mixture is
exactly the sum of the stems, and `song.json` describes the song. A song depends only on the settings and its number,
not on the number of songs. Folders are written atomically: an interrupted run resumes, and more songs only add folders.
Songs are split by number, and voices by variant as in `common.corpora.synthetic_words`.
"""

import hashlib
import math
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from common import audio, files, progress
from common.audio import decoding
from common.corpora import manifest, parallel
from common.corpora.stem_names import MIXTURE
from common.corpora.synthetic_words import VARIANTS
from common.errors import UserError
from common.synthesis.music import metal, pop, singing
from common.synthesis.music.score import Settings, Song, num_samples, rms
from common.synthesis.music.voice import VOICE_RATE
from common.synthesis.speech import espeak

FOLDER = "data/songs"
STEMS = {"pop": ("vocals", "drums", "bass", "other"), "metal": ("drums", "bass", "other")}

_FORMAT_VERSION = 2
_FEWEST_SONGS, _SHORTEST_SECONDS = 3, 2.0
_LOWEST_RATE = 8000
_MANY_SONGS = 8
# Splits of ten songs; the first three cover all splits.
_SPLITS = ("train", "validation", "test", *["train"] * 7)
_PEAK = 0.95
# espeak-ng speaks at a low pitch, which the vocoder needs, and slowly.
_RATE_WPM, _SPOKEN_PITCH = 140, {"F": 30, "M": 60}


def index(
    root: str | Path,
    *,
    num_songs: int = 40,
    seconds: float = 12.0,
    sample_rate: int = 16000,
    channels: int = 1,
    language: str = "en",
    seed: int = 0,
) -> pd.DataFrame:
    """Generate the missing songs of the style `pop` and list all of them.

    Args:
        root: Folder for songs; created if missing. Each setting has its own subfolder.
        num_songs: Number of songs, at least 3; 80 % are for training, 10 % each for validation and test.
        seconds: Length of each song, at least 2.
        sample_rate: Sample rate in Hz, at least 8000. The voice has no content above 11 kHz.
        channels: 1, or 2 to pan the instruments.
        language: A language code such as `en` or `es`, or one accent such as `en-gb-scotland`. English songs have
            lyrics, other languages sing numbers.
        seed: Random seed of the corpus.

    Returns:
        As `make`.

    Raises:
        UserError: espeak-ng is not installed, or does not fully support the language.
        UserError: As `make`.
    """
    settings = Settings(Path(root), "pop", language.strip().lower(), float(seconds), sample_rate, channels, seed)
    return make(settings, num_songs)


def make(settings: Settings, num_songs: int) -> pd.DataFrame:
    """Generate the missing songs of a style and list all of them.

    Args:
        settings: The settings of all songs; each setting has its own subfolder of `folder`.
        num_songs: Number of songs, at least 3.

    Returns:
        A manifest (see `common.corpora.manifest`) with one row per stem and mixture; `speaker` and `sex` are those of
        the voice.

    Raises:
        UserError: A setting is out of range, or the style is unknown.
        UserError: The folder is a file, or is not writable.
    """
    _check(settings, num_songs)
    style, language = settings.style, settings.language
    accents = _accents(language) if "vocals" in STEMS[style] else []
    spoken = f"-{language}-espeak-ng-{espeak.version()}" if accents else ""
    form = f"{settings.seconds:g}s-{settings.sample_rate}hz-{settings.num_channels}ch-seed{settings.seed}"
    name = f"songs-{style}-{form}{spoken}-v{_FORMAT_VERSION}"
    settings = settings._replace(folder=settings.folder.resolve() / name)
    songs = [_draw_song(settings, accents, number) for number in range(num_songs)]
    missing = [song for song in songs if not _is_whole(song)]
    if missing:
        # The output of espeak-ng depends on earlier calls. With a voice, fresh processes therefore speak all songs from
        # the first one on, including existing ones, so that a song does not depend on which songs existed.
        items, many = (songs, 1) if accents else (missing, _MANY_SONGS)
        with progress.bar(num_songs, "synthetic songs", "song", num_songs - len(missing)) as meter:
            for is_new in parallel.stripes(_write_song, items, many, chunk_items=1):
                meter.update(is_new)
    return manifest.from_rows(
        {
            "path": song.folder / f"{stem}.wav",
            "duration": settings.seconds,
            "split": song.split,
            "speaker": song.singer,
            "sex": song.sex,
            "track": song.track,
            "stem": stem,
        }
        for song in songs
        for stem in (MIXTURE, *STEMS[style])
    )


def _check(settings: Settings, num_songs: int) -> None:
    root, style, _, seconds, sample_rate, channels, _ = settings
    if style not in STEMS:
        raise UserError(f'unknown style "{style}"; expected one of {", ".join(STEMS)}')
    if num_songs < _FEWEST_SONGS:
        raise UserError(f"expected at least {_FEWEST_SONGS} songs, one for each split; received {num_songs}")
    if not _SHORTEST_SECONDS <= seconds < math.inf:
        raise UserError(f"expected songs of at least {_SHORTEST_SECONDS:g} s; received {seconds:g}")
    if not _LOWEST_RATE <= sample_rate <= decoding.HIGHEST_SAMPLE_RATE:
        raise UserError(f"expected a sample rate of at least {_LOWEST_RATE} Hz; received {sample_rate}")
    if channels not in (1, 2):
        raise UserError(f"expected 1 or 2 channels; received {channels}")
    if root.exists() and not root.is_dir():
        raise UserError(f"{root} is a file; expected a folder for songs")


def _accents(language: str) -> list[str]:
    accents = espeak.accents(language)
    word = singing.draw_words(accents[0], np.random.default_rng(0))[0]
    if not np.any(espeak.synthesize(word, accents[0])[0]):
        raise UserError(
            f'espeak-ng cannot speak numbers in "{language}"; expected a fully supported language, such as de, en or es'
        )
    return accents


def _draw_song(settings: Settings, accents: list[str], number: int) -> Song:
    split = _SPLITS[number % len(_SPLITS)]
    seed = _hash(f"{settings.seed}/{settings.style}/{number}")
    if not accents:
        return Song(settings, number, split, "", "", "", seed)
    # Women and men alternate, and the variants take turns, so that as few songs as possible share a voice.
    tens, number_in_ten = divmod(number, len(_SPLITS))
    turn = tens * _SPLITS.count(split) + _SPLITS[:number_in_ten].count(split) + settings.seed
    sex = "FM"[turn % 2]
    variants = VARIANTS[split][sex].split()
    accent = str(np.random.default_rng([0, seed]).choice(accents))
    return Song(settings, number, split, accent, variants[turn // 2 % len(variants)], sex, seed)


def _is_whole(song: Song) -> bool:
    return all((song.folder / f"{stem}.wav").exists() for stem in (MIXTURE, *STEMS[song.settings.style]))


def _write_song(song: Song) -> bool:
    """Write the folder of a song atomically; return False if it exists."""
    speech = _speak(song) if song.singer else {}
    if _is_whole(song):
        return False
    stems, description = make_song(song, speech)
    try:
        with files.temporary_folder(song.folder) as partial:
            for stem, samples in stems.items():
                # Lossless: the samples are multiples of the 16-bit step.
                waveform = audio.from_pcm16(samples)
                audio.write(partial / f"{stem}.wav", waveform, song.settings.sample_rate, "PCM_16")
            files.write_json(partial / "song.json", description)
            # Keep the folder if another process has written it in the meantime.
            if not _is_whole(song):
                shutil.rmtree(song.folder, ignore_errors=True)
                os.rename(partial, song.folder)
    except OSError as error:
        if not _is_whole(song):
            raise UserError(
                f"cannot write {song.folder}: {error.strerror or error}; check the folder and the free space"
            ) from error
    return True


def _speak(song: Song) -> dict[str, np.ndarray]:
    """Speak the words of a song at constant pitch; each word is float32 at `VOICE_RATE`, shape `(samples,)`."""
    rng = np.random.default_rng([5, song.seed])
    # Resampling changes the apparent length of the vocal tract.
    tract_scale = rng.uniform(0.92, 1.1)
    speech = {}
    for word in singing.draw_words(song.accent, rng):
        samples, rate = espeak.synthesize(
            word, song.accent, song.variant, _RATE_WPM, _SPOKEN_PITCH[song.sex], pitch_range=0
        )
        samples = audio.resample(samples, int(rate * tract_scale), VOICE_RATE)
        loud = np.flatnonzero(np.abs(samples) > 0.0056 * np.abs(samples).max(initial=0))
        if len(loud):
            speech[word] = samples[loud[0] : loud[-1] + 1]
    return speech


def make_song(song: Song, speech: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict]:
    """Compose and render a song.

    Args:
        song: The song.
        speech: The spoken words from `_speak`; unused without a voice.

    Returns:
        The stems and their sum, `mixture`: int16, shape `(samples, channels)`. And the description for `song.json`.
    """
    stems, facts = pop.play(song, speech) if song.settings.style == "pop" else metal.play(song)
    rng = np.random.default_rng([9, song.seed])
    fade = np.minimum(1, np.arange(num_samples(song))[::-1] / (0.03 * song.settings.sample_rate))[:, np.newaxis]
    stems = {stem: samples * fade for stem, samples in stems.items()}
    levels_db = _balance(stems, rng)
    loudest = max(np.abs(samples).max() for samples in (*stems.values(), sum(stems.values())))
    scale = _PEAK * 10 ** (-rng.uniform(0, 6) / 20) / loudest * audio.PCM16_SCALE
    stems = {stem: np.round(samples * scale).astype(np.int16) for stem, samples in stems.items()}
    levels_db = {stem: round(float(level_db), 2) for stem, level_db in levels_db.items()}
    described = {"number": song.number, "split": song.split, "voice": song.singer, "levels_db": levels_db, **facts}
    return {MIXTURE: sum(stems.values()), **stems}, described


def _balance(stems: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, float]:
    """Scale the stems in place to random levels and return the levels in decibels.

    Drums and bass are relative to `other`, the voice is relative to the sum of the other stems while it sings.
    """
    levels_db = {"drums": rng.uniform(-7, -1), "bass": rng.uniform(-10, -5)}
    for stem, level_db in levels_db.items():
        stems[stem] *= 10 ** (level_db / 20) * rms(stems["other"]) / (rms(stems[stem]) + 1e-9)
    if "vocals" in stems:
        levels_db["vocals"] = rng.uniform(-2, 2)
        backing = sum(samples for stem, samples in stems.items() if stem != "vocals")
        active = _is_active(stems["vocals"])
        stems["vocals"] *= 10 ** (levels_db["vocals"] / 20) * rms(backing[active]) / rms(stems["vocals"][active])
    return levels_db


def _is_active(samples: np.ndarray, num_frames: int = 100) -> np.ndarray:
    """Return for every sample whether its frame is within 30 dB of the loudest frame: bool, shape `(samples,)`."""
    frames = np.array_split(np.square(samples).sum(axis=1), num_frames)
    levels = np.array([frame.mean() for frame in frames])
    return np.repeat(levels > 1e-3 * levels.max(), [len(frame) for frame in frames])


def _hash(key: str) -> int:
    return int.from_bytes(hashlib.sha256(key.encode("utf-8")).digest()[:8], "big")
