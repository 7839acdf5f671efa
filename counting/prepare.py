"""Write a fixed set of mixtures and their metadata, as in the student report, for training, testing and listening.

  python -m counting.prepare --corpus=librispeech --data_dir=DIR --output_dir=mixtures
  python -m counting.prepare --output_dir=small --sizes=300,60,60 --max_speakers=5 --clip_seconds=5
  python -m counting.train --corpus=prepared --data_dir=mixtures

The default is the report's set: 100,000, 10,000 and 10,000 mixtures of 1 to 3 speakers, all counts equally often. Each
mixture is the mean of random excerpts of one second, one per speaker. Writes Audio_Train0.wav …,
Audio_Validation0.wav …, Audio_Test0.wav …, metadata.csv (columns: see common/corpora/prepared_mixtures.py),
settings.json, and plots of the set. Run the same command again to resume: existing mixtures are kept.
"""

import dataclasses
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags as absl_flags

from common import config as configs
from common import startup
from common.cli import app, early
from common.cli import flags as shared_flags
from common.errors import UserError
from counting.config import PREPARED, PREPARED_FIELDS, TASK, VARIANTS, Config, settings_of

_SIZES = (100_000, 10_000, 10_000)


def define_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags of this entry point."""
    absl_flags.DEFINE_string("output_dir", None, "folder to write to", flag_values=flag_values)
    absl_flags.DEFINE_list(
        "sizes",
        list(map(str, _SIZES)),
        "number of mixtures for train, validation and test, e.g. 1000,100,100",
        flag_values=flag_values,
    )
    shared_flags.define_corpus_flags(flag_values)
    configs.define_field_flags(flag_values, VARIANTS["report"], PREPARED_FIELDS)


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Prepare as the flags say."""
    app.refuse_arguments(arguments)
    if not flags.output_dir:
        raise UserError("--output_dir is missing; give the folder to write the mixtures to")
    config = dataclasses.replace(VARIANTS["report"], **configs.given(flags, VARIANTS["report"]))
    if config.corpus == PREPARED:
        raise UserError("--corpus=prepared: this command writes prepared mixtures, expected a corpus of speakers")
    sizes = parse_sizes(flags.sizes)
    from common.corpora import prepared_mixtures  # loads pandas

    prepared_mixtures.check_place(Path(flags.output_dir), settings_of(config))
    early.check_recordings(TASK, config, flags)
    startup.load_tensorflow()
    from counting import preparation

    table = preparation.prepare(
        config, Path(flags.output_dir), sizes, shards_dir=flags.shards_dir, download=flags.download
    )
    print(preparation.summary(table))
    print(f"\nwritten: {flags.output_dir}\ntrain:   {train_command(config, flags.output_dir)}")


def train_command(config: Config, folder: str) -> str:
    """Return the command that trains from a prepared folder."""
    names = ("min_speakers", "max_speakers", "clip_seconds", "sample_rate")
    changed = [f" --{name}={getattr(config, name)}" for name in names if getattr(config, name) != getattr(Config, name)]
    return f"python -m counting.train --corpus=prepared --data_dir={shlex.quote(folder)}{''.join(changed)}"


def parse_sizes(texts: Sequence[str]) -> dict[str, int]:
    """Return the number of mixtures of each split.

    Raises:
        UserError: The list is not three positive integers.
    """
    if len(texts) != len(configs.SPLITS) or not all(text.isdecimal() and int(text) for text in texts):
        raise UserError(f"--sizes: expected three positive integers, e.g. 1000,100,100, got {','.join(texts)!r}")
    return dict(zip(configs.SPLITS, map(int, texts), strict=True))


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))
