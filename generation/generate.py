"""Generate music with a trained generator: audio files and their spectrograms.

  python -m generation.generate --run_dir runs/generation/default --num_samples=8 --seed=1 --output_dir=out
  python -m generation.generate --run_dir runs/generation/default --duration_seconds=30      longer than an excerpt
  python -m generation.generate --run_dir runs/generation/default --to_seed=7        interpolate between two pieces
  python -m generation.generate --run_dir runs/generation/default --epoch=10         use the snapshot of epoch 10

The same seed gives the same piece. An existing file is replaced if this command wrote it with the same model.
--overwrite also replaces other files.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import flags as absl_flags

from common import config as configs
from common import former_names, run_folders, startup
from common.audio import formats
from common.cli import app, outputs
from common.cli import flags as shared_flags
from common.cli.guard import Guard
from common.errors import UserError
from generation import inference, snapshots
from generation.config import TASK, Config
from generation.inference import MusicGenerator, Piece


def define_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags of this entry point."""
    shared_flags.define_run_flag(flag_values, TASK)
    define = {"flag_values": flag_values}
    absl_flags.DEFINE_string("output_dir", "generated", "output folder", **define)
    absl_flags.DEFINE_integer("num_samples", 4, "number of pieces", 1, **define)
    absl_flags.DEFINE_integer(
        "seed", 0, "seed of the first piece; the next pieces use seed + 1, seed + 2, ...", 0, **define
    )
    absl_flags.DEFINE_float(
        "duration_seconds",
        None,
        "length of a piece in seconds (default: --clip_seconds of the training)",
        inference.SHORTEST_SECONDS,
        inference.LONGEST_SECONDS,
        **define,
    )
    absl_flags.DEFINE_float(
        "truncation",
        1.0,
        "truncation factor of the noise; below 1 pieces are less varied and closer to the average",
        0.0,
        inference.HIGHEST_TRUNCATION,
        **define,
    )
    absl_flags.DEFINE_integer(
        "to_seed", None, "interpolate from --seed to this seed in --num_samples pieces", 0, **define
    )
    absl_flags.DEFINE_integer("epoch", None, "use the snapshot of this epoch (default: the final model)", 1, **define)
    shared_flags.define_overwrite_flag(flag_values)
    shared_flags.define_output_format_flag(flag_values, formats.WRITTEN)
    for former, name in (("duration", "duration_seconds"), ("format", "output_format")):
        former_names.define(flag_values, former, name)


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Generate the pieces and write them."""
    app.refuse_arguments(arguments)
    if flags.to_seed is not None and flags.num_samples < 2:
        raise UserError("--to_seed: an interpolation needs --num_samples of at least 2")
    names = piece_names(flags.seed, flags.num_samples, flags.to_seed)
    paths = [Path(flags.output_dir) / f"{name}.{flags.output_format}" for name in names]
    made_by = Path(flags.run_dir, "model" if flags.epoch is None else f"epoch {flags.epoch}")
    written = outputs.Outputs(flags.output_dir, "generation.generate", flags)
    written.check(outputs.Target(target, str(made_by)) for path in paths for target in (path, path.with_suffix(".png")))
    generator = _load(flags)
    guard = Guard("pieces", "written")
    with written.writing():
        for number, path in enumerate(paths):
            with guard.one(str(path)):
                write_piece(make_piece(generator, flags, number), path)
                print(f"{path}\n{path.with_suffix('.png')}")
    guard.finish()


def _load(flags: configs.FlagValues) -> MusicGenerator:
    """Load the run; check it before TensorFlow is loaded, which takes seconds."""
    run_folders.load(Config, TASK, flags.run_dir)
    if flags.epoch is not None:
        snapshots.check(flags.run_dir, flags.epoch)
    startup.load_tensorflow()
    from generation import models

    return models.load_for_inference(flags.run_dir, flags.epoch)


def piece_names(seed: int, num_samples: int, to_seed: int | None) -> list[str]:
    """Return the file names of the pieces, without the suffix."""
    if to_seed is None:
        return [f"seed_{number:04d}" for number in range(seed, seed + num_samples)]
    return [f"seed_{seed:04d}_to_{to_seed:04d}_{number:02d}" for number in range(num_samples)]


def make_piece(generator: MusicGenerator, flags: configs.FlagValues, number: int) -> Piece:
    """Generate piece `number` of `piece_names`."""
    if flags.to_seed is None:
        return generator.generate(flags.seed + number, flags.duration_seconds, truncation=flags.truncation)
    fraction = float(np.linspace(0, 1, flags.num_samples)[number])
    return generator.interpolate(
        flags.seed, flags.to_seed, fraction, flags.duration_seconds, truncation=flags.truncation
    )


def write_piece(piece: Piece, path: Path) -> None:
    """Write a piece as audio, and its spectrogram as a PNG with the same name."""
    from common.reporting import plots

    piece.save(path)
    figure = plots.pictures(piece.decibels[None], [path.stem], piece.hop_samples / piece.sample_rate)
    plots.save(figure, path.with_suffix(".png"))


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))
