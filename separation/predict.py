"""Take songs apart: a file for each stem, at the song's own rate, channels and length.

  python -m separation.predict --run_dir runs/separation/default song.mp3 album/ --output_dir=stems

Songs of any length are read and written as they go: memory does not grow. Files of any format and rate are read; one that
cannot be gets its line on standard error, the others are separated, and the exit code is 2. A file that is there is replaced
if this command wrote it from the same song with the same model; others are with --overwrite, and a song never is.
"""

import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags as absl_flags

from common import config as configs
from common import files, startup
from common.audio import formats, sources, writer
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
    absl_flags.DEFINE_float("offset_seconds", 0.0, "where to begin, in seconds", 0, **define)
    absl_flags.DEFINE_float(
        "duration_seconds", None, "how much to separate, in seconds (default: to the end)", 0, **define
    )
    shared_flags.define_overwrite_flag(flag_values)
    shared_flags.define_output_format_flag(flag_values, formats.WRITTEN)
    for former, name in (("offset", "offset_seconds"), ("duration", "duration_seconds"), ("format", "output_format")):
        configs.define_former_name(flag_values, former, name)
    absl_flags.DEFINE_enum(
        "encoding", "16", list(ENCODINGS), "of WAV and FLAC: 16 or 24 bits, or float (WAV only)", **define
    )
    define_inference_flags(flag_values)


def define_inference_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags that change how a trained network is used."""
    absl_flags.DEFINE_float(
        "overlap",
        None,
        "share of a window that the next one repeats (default: as trained)",
        0,
        0.75,
        flag_values=flag_values,
    )
    absl_flags.DEFINE_integer(
        "wiener_iterations",
        None,
        "iterations of the multichannel Wiener filter (default: as trained)",
        0,
        flag_values=flag_values,
    )


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Separate every song named on the command line."""
    written = outputs.Outputs(flags.output_dir, "separation.predict", flags)
    named = written.not_own(inputs.recordings(arguments), arguments)
    config = configs.load(Config, TASK, Path(flags.run_dir) / "config.json")
    names = [*chosen_stems(config.stems, flags.stems), *((RESIDUAL,) if flags.residual else ())]
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
    there = []
    for (name, source, _), stems in zip(named, paths, strict=True):
        with guard.one(name):
            sources.source_name(source)
            there.append((name, source, stems))
    if there:
        separator = _load(flags)
        with written.writing():
            for name, source, stems in there:
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


def _load(flags: configs.FlagValues) -> StemSeparator:
    """Load the run, and TensorFlow, which takes seconds: after all that could be refused without it."""
    startup.load_tensorflow()
    from separation import models

    return models.load_for_inference(flags.run_dir, overlap=flags.overlap, wiener_iterations=flags.wiener_iterations)


def track_name(name: str) -> str:
    """Return what the files of a song are called by: its own name without the suffix, if it can be that of a folder.

    Example:
        >>> track_name("album/song.mp3"), track_name("-"), track_name("...wav")
        ('song', 'standard_input', '__')
    """
    stem = Path(name).stem if name != "-" else "standard_input"
    return stem if stem.strip(".") else "_" * len(stem)


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
        name = flags.template.format(track=track, stem=stem, format=flags.output_format)
    except (AttributeError, KeyError, IndexError, ValueError) as error:
        raise UserError(f"--template: {error} is not known; use {{track}}, {{stem}} and {{format}}") from error
    if "{stem}" not in flags.template:
        raise UserError("--template: without {stem} all stems are one file; use for example {track}_{stem}.{format}")
    path = Path(name)
    if not path.suffix:
        raise UserError("--template: the files need a suffix; end it with .{format}")
    folders = [files.fitting_name(folder) for folder in path.parent.parts]
    return Path(flags.output_dir, *folders, files.fitting_name(path.stem, path.suffix))


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))
