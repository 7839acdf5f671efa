"""Songs of the style `pop`: four chords, a beat, a bass, layers of accompaniment, and a voice (`singing`)."""

from collections.abc import Callable

import numpy as np

from common.synthesis.music import instruments, singing
from common.synthesis.music.instruments import midi_to_hz
from common.synthesis.music.melody import SCALES, Tune, draw_phrases
from common.synthesis.music.score import FILL, NOTE_NAMES, STEPS, Drummer, Grid, Song, Stage, draw_grid, in_room, rms

# Degrees of the scale, one per bar.
_PROGRESSIONS = {
    "major": ((0, 4, 5, 3), (5, 3, 0, 4), (0, 5, 3, 4), (0, 3, 5, 4), (1, 4, 0, 0), (0, 2, 3, 4), (3, 4, 2, 5)),
    "minor": ((0, 5, 2, 6), (0, 6, 5, 6), (0, 3, 6, 2), (0, 0, 5, 6), (0, 2, 6, 3), (5, 6, 0, 0)),
}
# Kick, snare, hi-hat: x is a hit, o an open hi-hat.
_BEATS = (
    ("x-------x-------", "----x-------x---", "x-x-x-x-x-x-x-x-"),
    ("x-----x-x-------", "----x-------x---", "x-x-x-x-x-x-x-o-"),
    ("x---x---x---x---", "----x-------x---", "--o---o---o---o-"),
    ("x--x--x---x-----", "----x-------x---", "xxxxxxxxxxxxxxxx"),
    ("x---------x-----", "--------x-------", "x-x-x-x-x-x-x-x-"),
    ("x-x-----x-x-----", "----x--x-x--x---", "x-x-x-x-x-x-o-x-"),
    ("x-----x---x---x-", "----x-------x--x", "x-xxx-xxx-xxx-xx"),
)
# 0 is the root of the chord, 5 the fifth, 8 the octave.
_BASS_LINES = (
    "0-----0-0-------",
    "0-0-0-0-0-0-0-0-",
    "0-----5-8-----5-",
    "0---------0---5-",
    "0--0--0-0--0--5-",
    "--0---0---0---0-",
    "0---5---8---5---",
)
_CHORD_RHYTHMS = (
    "x---------------",
    "x-------x-------",
    "x---x---x---x---",
    "x--x--x-x--x--x-",
    "--x---x---x---x-",
    "x-----x---x---x-",
    "x-x-x-x-x-x-x-x-",
)
_SUSTAINED = {"organ": instruments.organ, "pad": instruments.pad}
_STRUCK = {"strings": instruments.plucked_string, "electric piano": instruments.electric_piano}
_MELODIC = {
    "lead": instruments.lead,
    "strings": instruments.plucked_string,
    "electric piano": instruments.electric_piano,
}


def play(song: Song, speech: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict]:
    """Compose and render a song.

    Args:
        song: The song.
        speech: The spoken words, as for `singing.sing`.

    Returns:
        The stems `vocals`, `drums`, `bass` and `other`, each of shape `(samples, channels)`, before balancing. And a
        description for `song.json`.
    """
    rng = np.random.default_rng([1, song.seed])
    grid = draw_grid(song, 72, 150, rng.uniform(0, 0.3) * (rng.random() < 0.3), rng)
    mode = str(rng.choice(tuple(SCALES)))
    progression = _PROGRESSIONS[mode][rng.integers(len(_PROGRESSIONS[mode]))]
    tune = Tune(grid, int(rng.integers(12)), mode, progression, bool(rng.random() < 0.3))
    vocals, is_rap = singing.sing(song, tune, speech)
    other, layers = _accompany(song, tune)
    stems = {"vocals": vocals, "drums": _play_drums(song, grid), "bass": _play_bass(song, tune), "other": other}
    return stems, {
        "tempo_bpm": grid.tempo_bpm,
        "key": f"{NOTE_NAMES[tune.tonic]} {mode}",
        "chords": [" ".join(NOTE_NAMES[note] for note in tune.chord(bar)) for bar in range(len(progression))],
        "delivery": "rapped" if is_rap else "sung",
        "instruments": layers,
    }


def _play_drums(song: Song, grid: Grid) -> np.ndarray:
    rng = np.random.default_rng([2, song.seed])
    drummer = Drummer(song, rng)
    patterns = _BEATS[rng.integers(len(_BEATS))]
    pieces = {"x": ("kick", "snare", "hat"), "o": ("", "", "open hat")}
    fill_every = int(rng.choice((2, 4)))
    for bar in range(grid.num_bars):
        has_fill = bar % fill_every == fill_every - 1 and rng.random() < 0.7
        if bar % 4 == 0:
            drummer.hit("crash", grid.seconds(bar, 0))
        for kind, pattern in enumerate(patterns):
            for step, mark in enumerate(pattern):
                if mark in pieces and not (has_fill and step >= FILL[0][1]):
                    drummer.hit(pieces[mark][kind], grid.seconds(bar, step), 1.0 if step % 4 == 0 else 0.7)
        if has_fill:
            for piece, step in FILL:
                drummer.hit(piece, grid.seconds(bar, step), 0.6 + 0.03 * step)
    return in_room(drummer.stage, song, rng, 0.1)


def _play_bass(song: Song, tune: Tune) -> np.ndarray:
    rng = np.random.default_rng([3, song.seed])
    stage, line = Stage(song, rng), _BASS_LINES[rng.integers(len(_BASS_LINES))]
    sound = {"brightness": rng.uniform(0.3, 1.0), "decay_seconds": rng.uniform(0.6, 2.5)}
    intervals = {"0": 0, "5": 7, "8": 12}
    starts = [step for step, mark in enumerate(line) if mark in intervals]
    for bar in range(tune.grid.num_bars):
        # At or above the low E of a bass.
        root = 28 + (tune.chord(bar)[0] - 28) % 12
        for step, end in zip(starts, [*starts[1:], STEPS], strict=True):
            note = {
                "pitch_hz": midi_to_hz(root + intervals[line[step]]),
                "seconds": 0.92 * (end - step) * tune.grid.step_seconds,
                **sound,
            }
            stage.play(instruments.bass, note, tune.grid.seconds(bar, step) + rng.normal(0, 0.003), rng.uniform(0.7, 1))
    return stage.samples


def _accompany(song: Song, tune: Tune) -> tuple[np.ndarray, list[str]]:
    """Play the accompaniment: struck chords and, at random, sustained chords, a melody and a distorted guitar."""
    rng = np.random.default_rng([4, song.seed])
    sustained, struck = str(rng.choice(tuple(_SUSTAINED))), str(rng.choice(tuple(_STRUCK)))
    layers = {struck: _play_chords(song, tune, _STRUCK[struck], rng)}
    if rng.random() < 0.35:
        layers[sustained] = _play_chords(song, tune, _SUSTAINED[sustained], rng)
    if rng.random() < 0.3:
        melodic = str(rng.choice(tuple(_MELODIC)))
        layers[f"{melodic} melody"] = _play_melody(song, tune, _MELODIC[melodic], rng)
    if rng.random() < 0.1:
        layers["distorted guitar"] = _play_crunch(song, tune, rng)
    levels = [10 ** (rng.uniform(-6, 0) / 20) / rms(layer) for layer in layers.values()]
    total = sum(level * layer for level, layer in zip(levels, layers.values(), strict=True))
    return total, list(layers)


def _play_chords(song: Song, tune: Tune, render: Callable, rng: np.random.Generator) -> np.ndarray:
    is_sustained = render in _SUSTAINED.values()
    # Sustained instruments change once or twice per bar; decaying ones are struck more often.
    rhythm = _CHORD_RHYTHMS[rng.integers(2) if is_sustained else rng.integers(1, len(_CHORD_RHYTHMS))]
    stage, lowest = Stage(song, rng), int(rng.integers(50, 61))
    is_arpeggio = not is_sustained and rng.random() < 0.4
    strum_seconds = rng.uniform(0.004, 0.02) if render is instruments.plucked_string else 0.0
    pan, sound = rng.uniform(-0.7, 0.7), {"brightness": rng.uniform(0.4, 1.0)}
    starts = list(range(0, STEPS, 2)) if is_arpeggio else [step for step, mark in enumerate(rhythm) if mark == "x"]
    for bar in range(tune.grid.num_bars):
        notes = sorted(lowest + (pitch - lowest) % 12 for pitch in tune.chord(bar))
        notes.append(notes[0] + 12)
        for number, (step, end) in enumerate(zip(starts, [*starts[1:], STEPS], strict=True)):
            held = (end - step if not is_arpeggio else 4) * tune.grid.step_seconds
            velocity = rng.uniform(0.8, 1) * (1 if step % 4 == 0 else 0.75)
            for place, note in enumerate([notes[number % len(notes)]] if is_arpeggio else notes):
                seconds = tune.grid.seconds(bar, step) + place * strum_seconds + rng.normal(0, 0.003)
                arguments = {"pitch_hz": midi_to_hz(note), "seconds": 0.95 * held, **sound}
                stage.play(render, arguments, seconds, velocity, pan=pan)
    return in_room(stage, song, rng, 0.15)


def _play_melody(song: Song, tune: Tune, render: Callable, rng: np.random.Generator) -> np.ndarray:
    stage, center = Stage(song, rng), int(rng.integers(60, 76))
    pan, sound = rng.uniform(-0.7, 0.7), {"brightness": rng.uniform(0.4, 0.9)}
    for phrase in draw_phrases(tune, center, rng.uniform(0.2, 0.5), 0.2, rng):
        for note in phrase:
            arguments = {
                "pitch_hz": midi_to_hz(note.pitch),
                "seconds": 0.95 * note.num_steps * tune.grid.step_seconds,
                **sound,
            }
            stage.play(
                render, arguments, tune.grid.seconds(0, note.step) + rng.normal(0, 0.003), rng.uniform(0.7, 1), pan=pan
            )
    return in_room(stage, song, rng, 0.2)


def _play_crunch(song: Song, tune: Tune, rng: np.random.Generator) -> np.ndarray:
    strings = Stage(song._replace(settings=song.settings._replace(num_channels=1)), rng)
    rhythm = _CHORD_RHYTHMS[rng.integers(1, len(_CHORD_RHYTHMS))]
    starts = [step for step, mark in enumerate(rhythm) if mark == "x"]
    for bar in range(tune.grid.num_bars):
        root = 40 + (tune.chord(bar)[0] - 40) % 12
        for step, end in zip(starts, [*starts[1:], STEPS], strict=True):
            arguments = {"pitch_hz": midi_to_hz(root), "seconds": 0.9 * (end - step) * tune.grid.step_seconds}
            strings.play(instruments.power_chord_strings, arguments, tune.grid.seconds(bar, step), rng.uniform(0.8, 1))
    stage = Stage(song, rng)
    rate = song.settings.sample_rate
    stage.add(instruments.guitar_amplifier(strings.samples[:, 0], rate, rng.uniform(2, 15)), 0, rng.uniform(-0.8, 0.8))
    return in_room(stage, song, rng, 0.05)
