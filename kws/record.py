"""Record your words with the microphone, or cut them out of a recording, as a folder to train on.

  python -m kws.record --words=lights_on,lights_off --count=5 --speaker=anna     asks for one word after the other
  python -m kws.record --words=lights_on speech.wav                              a recording with pauses between words
  python -m kws.record --words=lights_on,lights_off on.wav off.wav               one recording for each word
  python -m kws.record --words=lights_on,lights_off --count=5 speech.wav         five times the one, then the other

The recordings are written to my_words/<word>/<speaker>_nohash_<number>.wav (16 kHz, mono, 16 bits). Nothing is
overwritten. With the microphone, each recording is checked, and repeated if it is too quiet, too loud or cut off. Run the
same command again to continue after an interruption. A recording may have any audio format, sample rate and number of
channels; if it does not hold as many words as expected, nothing is written. The microphone needs the extra `live`.
"""

import itertools
import shlex
import sys
from collections.abc import Sequence

import numpy as np
from absl import flags as absl_flags

from common import audio, streams
from common import config as configs
from common.audio import microphone, segments
from common.cli import app
from common.cli.guard import Guard
from common.corpora import layouts
from common.errors import UserError
from common.files import locks
from common.log import logger
from kws import takes
from kws.config import VARIANTS

_DEFAULT_COUNT = 5
_METER_CHARACTERS, _METER_DB = 30, 60


def define_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags of this entry point."""
    define = {"flag_values": flag_values}
    absl_flags.DEFINE_list(
        "words", None, "the words, separated by commas; names of folders, such as lights_on", **define
    )
    absl_flags.DEFINE_integer(
        "count",
        None,
        f"recordings of each word: with the microphone in all (default {_DEFAULT_COUNT}), in files as many as they hold"
        " (default all; needed for several words in one file)",
        1,
        10000,
        **define,
    )
    absl_flags.DEFINE_string(
        "speaker", "me", "who speaks; all recordings of a speaker are in the same split of a training", **define
    )
    absl_flags.DEFINE_string("output_dir", "my_words", "folder to write to, which training reads", **define)
    absl_flags.DEFINE_float(
        "duration_seconds", 2.0, "length of a recording with the microphone, in seconds", 1.0, 30.0, **define
    )


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Record, or cut the recordings named on the command line."""
    takes.check_words(flags.words or ())
    folder = takes.Folder(flags.output_dir, flags.speaker)
    for word in flags.words:
        folder.check(word)
    if arguments:
        _check_number(flags.words, arguments, flags.count)
    locks.acquire(folder.path)
    try:
        if arguments:
            cut_files(folder, flags.words, arguments, flags.count)
        else:
            record(folder, flags.words, flags.count or _DEFAULT_COUNT, flags.duration_seconds)
    finally:
        locks.release(folder.path)
    print(what_next(folder))


def _check_number(words: Sequence[str], arguments: Sequence[str], count: int | None) -> None:
    """Refuse a number of recordings that does not tell which word is where."""
    if len(arguments) not in (1, len(words)):
        named = f"one, or one for each of the {len(words)} words" if len(words) > 1 else "one for one word"
        raise UserError(f"expected {named}, got {len(arguments)} recordings")
    if len(arguments) < len(words) and count is None:
        raise UserError("several words in one recording need --count, the number of times that each is spoken in a row")


def cut_files(folder: takes.Folder, words: Sequence[str], arguments: Sequence[str], count: int | None) -> None:
    """Cut the words out of recordings and add them to the folder; if a recording is not as expected, add nothing.

    Args:
        folder: Where to add them.
        words: The words.
        arguments: One recording for each word, or one with all words in this order; `-` is standard input.
        count: How often each word is spoken; None takes all that a recording of one word holds.

    Raises:
        UserError: A recording cannot be read, or does not hold as many words as expected.
    """
    guard = Guard(done="cut, so nothing was written")
    groups = [words] if len(arguments) == 1 else [[word] for word in words]
    added: list[tuple[str, str, segments.Segment, np.ndarray]] = []
    for name, spoken in zip(arguments, groups, strict=True):
        with guard.one(name):
            source = streams.standard_input() if name == "-" else configs.expanded(name)
            waveform, _ = audio.read(source, takes.SAMPLE_RATE)
            found = _found(waveform, None if count is None else len(spoken) * count)
            pieces = segments.cut(waveform, found, takes.SAMPLE_RATE, takes.CLIP_SECONDS)
            order = [word for word in spoken for _ in range(len(found) // len(spoken))]
            added += [(name, *one) for one in zip(order, found, pieces, strict=True)]
            _warn(name, waveform, found)
    guard.finish()
    for name, word, segment, piece in added:
        if folder.has(word, piece):
            print(f"{name}  {_seconds(segment)} s  {word}: is there already")
        else:
            print(f"{name}  {_seconds(segment)} s  {folder.add(word, piece)}", flush=True)


def _found(waveform: np.ndarray, expected: int | None) -> list[segments.Segment]:
    """Return the words in a recording, of which there must be as many as expected.

    Raises:
        UserError: There are none, or more or fewer.
    """
    found = segments.find(waveform, takes.SAMPLE_RATE)
    if not found:
        silent = "it is silent" if audio.is_silent(waveform) else "nothing in it is well above its noise"
        raise UserError(f"found no words: {silent}; record it again, louder and with pauses between the words")
    if expected is not None and len(found) != expected:
        raise UserError(
            f"found {len(found)} words, expected {expected}: at {', '.join(map(_seconds, found))} s; check the count,"
            " leave pauses of half a second between words, and cut off what is no word"
        )
    return found


def _warn(name: str, waveform: np.ndarray, found: Sequence[segments.Segment]) -> None:
    """Log which words are clipped or cut off."""
    clipped = [one for one in found if takes.is_clipped(waveform[one.start : one.end])]
    if clipped:
        logger.warning("%s: clipped, so better recorded again: %s s", name, ", ".join(map(_seconds, clipped)))
    if not found[0].start or found[-1].end == len(waveform):
        logger.warning("%s: begins or ends within a word, which may be cut off", name)


def _seconds(segment: segments.Segment) -> str:
    return f"{segment.start / takes.SAMPLE_RATE:.2f}-{segment.end / takes.SAMPLE_RATE:.2f}"


def record(folder: takes.Folder, words: Sequence[str], count: int, seconds: float) -> None:
    """Ask for each word until the folder has `count` recordings of it by the speaker; repeat what cannot be used.

    Args:
        folder: Where to add them.
        words: The words.
        count: Recordings of each word, with those that the folder has.
        seconds: Length of a recording.

    Raises:
        UserError: There is no microphone, or standard input ends.
    """
    missing = {word: count - len(folder.numbers(word)) for word in words}
    for word in words:
        if missing[word] <= 0:
            print(f"{word}: {count - missing[word]} recordings by {folder.speaker} are there; --count asks for more")
    if max(missing.values()) <= 0:
        return
    try:
        print(f"microphone: {microphone.check()}")
    except UserError as error:
        raise UserError(f"{error.command_line}; or give a recording of the words, such as words.wav") from error
    try:
        for word in words:
            for number in range(count - missing[word] + 1, count + 1):
                _record_one(folder, word, f"{word} {number}/{count}", seconds)
    except KeyboardInterrupt:
        print()
        logger.info("%s", _progress(folder, words, count))
        raise
    except EOFError:
        print()
        progress = _progress(folder, words, count)
        raise UserError(f"standard input ended; {progress}, run the same command again for the others") from None


def _progress(folder: takes.Folder, words: Sequence[str], count: int) -> str:
    done = sum(min(count, len(folder.numbers(word))) for word in words)
    return f"{folder.path} has {done} of {count * len(words)} recordings"


def _record_one(folder: takes.Folder, word: str, title: str, seconds: float) -> None:
    """Record a word until the recording can be used, and add it."""
    for attempt in itertools.count():
        input(f"{title}: {'again, ' if attempt else ''}press Enter, then speak ")
        meter = _show_level if sys.stdout.isatty() else None
        recording = microphone.record(seconds, takes.SAMPLE_RATE, meter)
        take = takes.judge(recording.waveform)
        level = f"level {take.level_db:.0f} dB"
        level += f", {take.snr_db:.0f} dB above the noise" if take.snr_db else ""
        # It replaces the meter on a terminal, where Enter has begun a new line.
        print(f"\r  {level:{_METER_CHARACTERS + 12}}" if meter else f"\n  {level}")
        if not recording.is_complete:
            print("  some samples were lost, because the computer was busy")
        elif take.problem:
            print(f"  {take.problem}")
        else:
            print(f"  {folder.add(word, take.word)}", flush=True)
            return


def _show_level(block: np.ndarray) -> None:
    """Draw the peak level of a block over the line before."""
    level_db = 20 * np.log10(max(float(np.abs(block).max(initial=0.0)), 1e-5))
    length = int(np.clip(1 + level_db / _METER_DB, 0, 1) * _METER_CHARACTERS)
    print(f"\r  [{'#' * length:{_METER_CHARACTERS}}] {level_db:4.0f} dB", end="", flush=True)


def what_next(folder: takes.Folder) -> str:
    """Return the command that trains on the folder, and what has to be recorded before."""
    root = folder.path.parent if layouts.split_of(folder.path.name) else folder.path
    flags = ["--variant=few"] if "few" in VARIANTS else []
    flags += ["--corpus=folder", f"--data_dir={root}"]
    words = folder.words_to_name()
    flags += [f"--words={','.join(words)}"] if words else []
    command = shlex.join(["python", "-m", "kws.train", *flags, "--run_dir=runs/kws/mine"])
    lacks = folder.lacks()
    return f"record {lacks}, then train: {command}" if lacks else f"train: {command}"


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))
