"""Take songs apart: a file for each stem, at the song's own rate, channels and length.

  python -m separation.predict --run_dir runs/separation/default song.mp3 album/ --output_dir=stems

Songs of any length are read and written as they go: memory does not grow. Files of any format and rate are read; one that
cannot be gets its line on standard error, the others are separated, and the exit code is 2. A file that is there is replaced
if this command wrote it from the same song with the same model; others are with --overwrite, and a song never is.
"""

import contextlib
import itertools
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import soxr
from absl import flags as absl_flags

from common import audio, files, progress
from common import config as configs
from common.audio import blocks as audio_blocks
from common.audio import writer
from common.cli import app, inputs, outputs
from common.cli import flags as shared_flags
from common.cli.guard import Guard
from common.corpora import tracks
from common.errors import UserError, nearest
from separation import evaluate, inference
from separation.config import TASK, Config
from separation.models import load_model

FORMATS = ("wav", "flac", "ogg", "mp3")
ENCODINGS = {"16": "PCM_16", "24": "PCM_24", "float": "FLOAT"}
RESIDUAL = "residual"
_BLOCK_SECONDS = 10.0


def define_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags of this entry point."""
    shared_flags.define_run_flag(flag_values, TASK)
    define = {"flag_values": flag_values}
    absl_flags.DEFINE_string("output_dir", "stems", "folder that the stems are written to", **define)
    absl_flags.DEFINE_string(
        "template",
        "{track}/{stem}.{format}",
        "name of each file below --output_dir, of {track}, {stem} and {format}",
        **define,
    )
    absl_flags.DEFINE_list(
        "stems",
        None,
        "which stems to write (default: all that the model knows); accompaniment is all but the others named",
        **define,
    )
    absl_flags.DEFINE_bool("residual", False, "also write what the written stems lack of the song", **define)
    absl_flags.DEFINE_bool(
        "consistent",
        False,
        "spread what the stems lack of the song evenly over them, so that they sum to it; also what is above half the model's rate",
        **define,
    )
    absl_flags.DEFINE_float("offset", 0.0, "where to begin, in seconds", 0, **define)
    absl_flags.DEFINE_float("duration", None, "how much to separate, in seconds (default: to the end)", 0, **define)
    shared_flags.define_overwrite_flag(flag_values)
    absl_flags.DEFINE_enum("format", "wav", FORMATS, f"of the files: {', '.join(FORMATS)}", **define)
    absl_flags.DEFINE_enum(
        "encoding", "16", list(ENCODINGS), "of WAV and FLAC: 16 or 24 bits, or float (WAV only)", **define
    )
    evaluate.define_inference_flags(flag_values)


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Separate every song named on the command line."""
    written = outputs.Outputs(flags.output_dir, "separation.predict", flags)
    named = written.not_own(inputs.recordings(arguments), arguments)
    config = evaluate.as_asked(configs.load(Config, TASK, Path(flags.run_dir) / "config.json"), flags)
    names = [*chosen_stems(config, flags.stems), *((RESIDUAL,) if flags.residual else ())]
    subtype = ENCODINGS[flags.encoding] if flags.format in ("wav", "flac") else None
    writer.format_of(path_of(flags, "track", "stem"), subtype)
    used: set[str] = set()
    songs = [_unused(track_name(name), used) for name, _, _ in named]
    paths = [{stem: path_of(flags, track, stem) for stem in names} for track in songs]
    written.check(
        (
            outputs.Target(path, name)
            for (name, _, _), stems in zip(named, paths, strict=True)
            for path in stems.values()
        ),
        [source for _, source, _ in named],
    )
    run = inference.window_function(load_model(flags.run_dir)[1], config)
    guard = Guard("songs", "separated")
    with written.writing():
        for (name, source, _), stems in zip(named, paths, strict=True):
            with guard.one(name):
                separate_file(
                    run,
                    config,
                    source,
                    stems,
                    offset=flags.offset,
                    duration=flags.duration,
                    consistent=flags.consistent,
                    subtype=subtype,
                )
                print("\n".join(map(str, stems.values())))
    guard.finish()


def track_name(name: str) -> str:
    """Return what the files of a song are called by: its own name without the suffix, if it can be that of a folder.

    Example:
        >>> track_name("album/song.mp3"), track_name("-"), track_name("...wav")
        ('song', 'standard_input', '__')
    """
    stem = Path(name).stem if name != "-" else "standard_input"
    return stem if stem.strip(".") else "_" * len(stem)


def chosen_stems(config: Config, wanted: Sequence[str] | None) -> dict[str, list[int]]:
    """Return which of the model's stems make up each stem that is wanted.

    Args:
        config: Of the model.
        wanted: Names; None for all that the model knows. `accompaniment`, where the model has no such stem, is the sum
            of all that are not wanted by name.

    Raises:
        UserError: A stem is not known, or named twice.

    Example:
        >>> chosen_stems(Config(stems=("vocals", "drums", "bass"), sample_rate=8000, channels=1), ["drums", "accompaniment"])
        {'drums': [1], 'accompaniment': [0, 2]}
    """
    if wanted is None:
        return {stem: [index] for index, stem in enumerate(config.stems)}
    known = tuple(dict.fromkeys([*config.stems, tracks.ACCOMPANIMENT]))
    for stem in wanted:
        if stem not in known:
            raise UserError(f"--stems: expected any of {', '.join(known)}, got {stem!r}.{nearest(stem, known)}")
    if len(set(wanted)) < len(wanted):
        raise UserError(f"--stems: a stem stands there twice ({','.join(wanted)}); name each once")
    others = [index for index, stem in enumerate(config.stems) if stem not in wanted]
    if tracks.ACCOMPANIMENT in wanted and tracks.ACCOMPANIMENT not in config.stems and not others:
        raise UserError("--stems: nothing is left for accompaniment; name fewer other stems")
    return {stem: [config.stems.index(stem)] if stem in config.stems else others for stem in wanted}


def _unused(track: str, used: set[str]) -> str:
    """Return the name of a track, numbered where songs of different folders are called alike."""
    names = itertools.chain([track], (f"{track}_{number}" for number in itertools.count(2)))
    name = next(name for name in names if name not in used)
    used.add(name)
    return name


def path_of(flags: configs.FlagValues, track: str, stem: str) -> Path:
    """Return the file of a stem, as `--template` says.

    Raises:
        UserError: The template has an unknown field, or lacks the stem or a suffix.
    """
    try:
        name = flags.template.format(track=track, stem=stem, format=flags.format)
    except (AttributeError, KeyError, IndexError, ValueError) as error:
        raise UserError(f"--template: {error} is not known; use {{track}}, {{stem}} and {{format}}") from error
    if "{stem}" not in flags.template:
        raise UserError("--template: without {stem} all stems are one file; use for example {track}_{stem}.{format}")
    path = Path(name)
    if not path.suffix:
        raise UserError("--template: the files need a suffix; end it with .{format}")
    folders = [files.fitting_name(folder) for folder in path.parent.parts]
    return Path(flags.output_dir, *folders, files.fitting_name(path.stem, path.suffix))


def separate_file(
    run: inference.WindowFunction,
    config: Config,
    source: audio.AudioSource,
    paths: dict[str, Path],
    *,
    offset: float = 0.0,
    duration: float | None = None,
    consistent: bool = False,
    subtype: str | None = None,
) -> list[Path]:
    """Separate one song into files; they appear when all of them are complete.

    Mono songs stay mono for a stereo model too, and the channels of a song are separated one by one by a mono model.

    Args:
        run: From `inference.window_function`.
        config: From `load_model`, perhaps with other inference settings.
        source: A path, or a binary file object.
        paths: The file of each stem; `residual` is what the others lack of the song.
        offset: Where to begin, in seconds.
        duration: How much to separate, in seconds; None for all.
        consistent: Whether the model's stems are made to sum to the song.
        subtype: Encoding as soundfile names it; None takes the format's usual one.

    Returns:
        The files written.

    Raises:
        UserError: The song cannot be read, has more than two channels for a stereo model, or a file cannot be written.
    """
    parts = chosen_stems(config, [stem for stem in paths if stem != RESIDUAL])
    with inputs.on_disk(source) as path, contextlib.ExitStack() as stack:
        header = audio.info(path)
        if header.num_channels > config.channels > 1:
            raise UserError(f"{path} has {header.num_channels} channels, the model takes one or two: mix it down first")
        num_samples = max(0, header.num_samples - round(offset * header.sample_rate))
        if duration is not None:
            num_samples = min(num_samples, max(1, round(duration * header.sample_rate)))
        # The first block is read before any file is opened: what is no audio leaves nothing behind.
        blocks = audio_blocks.blocks(path, config.sample_rate, _BLOCK_SECONDS, False, offset, duration)
        blocks = itertools.chain([next(blocks)], blocks)
        writers = {
            stem: stack.enter_context(writer.opened(target, header.sample_rate, header.num_channels, subtype))
            for stem, target in paths.items()
        }
        # What resampling takes away, all above the model's highest frequency, is missing from the stems too.
        song = None
        if consistent or RESIDUAL in paths:
            song = _Samples(audio_blocks.blocks(path, header.sample_rate, _BLOCK_SECONDS, False, offset, duration))
        meter = stack.enter_context(progress.bar(round(num_samples / header.sample_rate), path.name, "s"))
        num_written = 0
        for stems in _resampled(inference.separate(run, config, blocks), config.sample_rate, header.sample_rate):
            stems = stems[:, : num_samples - num_written]
            if song is not None:
                whole = song.take(stems.shape[1])
            if consistent:
                stems = inference.make_consistent(stems, whole)
            sums = {stem: stems[indices].sum(axis=0) for stem, indices in parts.items()}
            if RESIDUAL in paths:
                sums[RESIDUAL] = whole - sum(sums.values())
            for stem, waveform in sums.items():
                writers[stem](waveform)
            num_written += stems.shape[1]
            meter.update(round(num_written / header.sample_rate) - meter.n)
    return list(paths.values())


class _Samples:
    """Blocks of samples, taken in other lengths than they come in."""

    def __init__(self, blocks: Iterator[np.ndarray]):
        self.blocks = blocks
        self.pending = next(blocks)

    def take(self, num_samples: int) -> np.ndarray:
        """Return the next samples; silence after the last."""
        while len(self.pending) < num_samples and (block := next(self.blocks, None)) is not None:
            self.pending = np.concatenate([self.pending, block])
        taken, self.pending = self.pending[:num_samples], self.pending[num_samples:]
        return audio.fit_length(taken, num_samples)


def _resampled(blocks: Iterable[np.ndarray], from_rate: int, to_rate: int) -> Iterator[np.ndarray]:
    """Resample stems `(stems, samples, channels)` as they come; they join without a click."""
    if from_rate == to_rate:
        yield from blocks
        return
    resampler = None
    for stems in blocks:
        num_stems, _, channels = stems.shape
        resampler = resampler or soxr.ResampleStream(
            from_rate, to_rate, num_stems * channels, dtype="float32", quality="HQ"
        )
        flat = stems.transpose(1, 0, 2).reshape(-1, num_stems * channels)
        flat = resampler.resample_chunk(np.ascontiguousarray(flat, np.float32))
        yield flat.reshape(-1, num_stems, channels).transpose(1, 0, 2)
    rest = resampler.resample_chunk(flat[:0], last=True)
    yield rest.reshape(-1, num_stems, channels).transpose(1, 0, 2)


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))
