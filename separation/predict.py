"""Separate songs: write one file per stem, with the sample rate, channels and length of the song.

  python -m separation.predict --run_dir runs/separation/default song.mp3 album/ --output_dir=stems

Songs are streamed, so memory does not grow with their length. Any audio format and sample rate can be read. If a file
cannot be read, an error line goes to standard error, the other files are separated, and the exit code is 2. An existing
stem is replaced if this command wrote it from the same song with the same model. --overwrite also replaces other files,
but never an input song.
"""

import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags as absl_flags

from common import audio, files, former_names, run_folders, startup
from common import config as configs
from common.audio import formats, writer
from common.audio.sources import AudioSource
from common.cli import app, inputs, outputs
from common.cli import flags as shared_flags
from common.cli.guard import Guard
from common.errors import UserError
from separation.config import TASK, Config
from separation.inference import StemSeparator
from separation.stem_files import RESIDUAL, chosen_stems, separate_file

ENCODINGS = {"16": "PCM_16", "24": "PCM_24", "float": "FLOAT"}


def define_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags of this entry point."""
    shared_flags.define_run_flag(flag_values, TASK)
    define = {"flag_values": flag_values}
    absl_flags.DEFINE_string("output_dir", "stems", "output folder of the stems", **define)
    absl_flags.DEFINE_string(
        "template",
        "{track}/{stem}.{format}",
        "file names in --output_dir, made of {track}, {stem} and {format}",
        **define,
    )
    absl_flags.DEFINE_list(
        "stems",
        None,
        "stems to write, e.g. vocals,drums (default: all stems of the model); accompaniment is the sum of all others",
        **define,
    )
    absl_flags.DEFINE_bool("residual", False, "also write the residual, the song minus the written stems", **define)
    absl_flags.DEFINE_bool(
        "consistent",
        False,
        "add an equal part of the residual to each stem, so that the stems sum to the song",
        **define,
    )
    absl_flags.DEFINE_float("offset_seconds", 0.0, "start of the excerpt in seconds", 0, **define)
    absl_flags.DEFINE_float(
        "duration_seconds", None, "length of the excerpt in seconds (default: to the end of the song)", 0, **define
    )
    shared_flags.define_overwrite_flag(flag_values)
    shared_flags.define_output_format_flag(flag_values, formats.WRITTEN)
    for former, name in (("offset", "offset_seconds"), ("duration", "duration_seconds"), ("format", "output_format")):
        former_names.define(flag_values, former, name)
    absl_flags.DEFINE_enum(
        "encoding", "16", list(ENCODINGS), "sample format of WAV and FLAC: 16 or 24 bits, or float (WAV only)", **define
    )
    define_inference_flags(flag_values)


def define_inference_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags that change inference with a trained model."""
    absl_flags.DEFINE_float(
        "overlap",
        None,
        "overlap of consecutive windows, as a fraction of a window (default: from the configuration of the run)",
        0,
        0.75,
        flag_values=flag_values,
    )
    absl_flags.DEFINE_integer(
        "wiener_iterations",
        None,
        "iterations of the multichannel Wiener filter (default: from the configuration of the run)",
        0,
        flag_values=flag_values,
    )


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Separate every song named on the command line."""
    written = outputs.Outputs(flags.output_dir, "separation.predict", flags)
    named = written.not_own(inputs.recordings(arguments), arguments)
    config = run_folders.load(Config, TASK, flags.run_dir)
    names = [*chosen_stems(config.stems, flags.stems), *((RESIDUAL,) if flags.residual else ())]
    if flags["encoding"].present and flags.output_format not in ("wav", "flac"):
        raise UserError(f"--encoding: is for wav and flac, not for --output_format={flags.output_format}; remove one")
    subtype = ENCODINGS[flags.encoding] if flags.output_format in ("wav", "flac") else None
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
    guard = Guard("songs", "separated")
    readable = []
    found = [(name, source, stems) for (name, source, _), stems in zip(named, paths, strict=True)]
    for name, source, stems in inputs.present(guard, found):
        with guard.one(name):
            _check_offset(source, flags.offset_seconds)
            readable.append((name, source, stems))
    if readable:
        separator = _load(flags)
        with written.writing():
            for name, source, stems in readable:
                with guard.one(name), inputs.on_disk(source) as path:
                    separate_file(
                        separator,
                        path,
                        stems,
                        offset=flags.offset_seconds,
                        duration=flags.duration_seconds,
                        consistent=flags.consistent,
                        subtype=subtype,
                    )
                    print("\n".join(map(str, stems.values())))
    guard.finish()


def _check_offset(source: AudioSource, offset_seconds: float) -> None:
    """Refuse an excerpt that begins after the end of a song; standard input is read only once, later."""
    if offset_seconds and not hasattr(source, "read") and offset_seconds >= audio.info(source).duration_seconds:
        raise audio.no_samples(str(source), offset_seconds)


def _load(flags: configs.FlagValues) -> StemSeparator:
    """Load TensorFlow and the run; called last, because it takes seconds and errors should come before."""
    startup.load_tensorflow()
    from separation import models

    return models.load_for_inference(flags.run_dir, overlap=flags.overlap, wiener_iterations=flags.wiener_iterations)


def track_name(name: str) -> str:
    """Return the name of a track: the file name without suffix, or underscores if it consists of dots only.

    Example:
        >>> track_name("album/song.mp3"), track_name("-"), track_name("...wav")
        ('song', 'standard_input', '__')
    """
    stem = Path(name).stem if name != "-" else "standard_input"
    return stem if stem.strip(".") else "_" * len(stem)


def _unused(track: str, used: set[str]) -> str:
    """Return an unused name: the name of the track, with a number if another song has the same name."""
    names = itertools.chain([track], (f"{track}_{number}" for number in itertools.count(2)))
    name = next(name for name in names if name not in used)
    used.add(name)
    return name


def path_of(flags: configs.FlagValues, track: str, stem: str) -> Path:
    """Return the path of a stem according to `--template`.

    Raises:
        UserError: The template has an unknown field, has no `{stem}`, or gives a name without a suffix.
    """
    try:
        name = flags.template.format(track=track, stem=stem, format=flags.output_format)
    except (AttributeError, KeyError, IndexError, ValueError) as error:
        raise UserError(f"--template: unknown field {error}; use {{track}}, {{stem}} and {{format}}") from error
    if "{stem}" not in flags.template:
        raise UserError("--template: {stem} is missing; use for example {track}_{stem}.{format}")
    path = Path(name)
    if not path.suffix:
        raise UserError("--template: the file names have no suffix; end the template with .{format}")
    folders = [files.fitting_name(folder) for folder in path.parent.parts]
    return Path(flags.output_dir, *folders, files.fitting_name(path.stem, path.suffix))


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))
