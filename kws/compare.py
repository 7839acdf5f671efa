"""Train, export and time a variant of every encoder on one corpus, and write a table.

  python -m kws.compare --corpus=speech_commands --data_dir=DIR
  python -m kws.compare --corpus=speech_commands --data_dir=DIR --variants=res_cnn,bc_resnet --epochs=10

A configuration flag applies to all variants; without flags each variant keeps its own recipe. Each run is a subfolder
of --output_dir. Run the same command again to resume. Writes table.csv and table.md.

Columns: accuracy on the test split with its 95 % interval; number of parameters, trainable or not; size of the LiteRT
file; LiteRT inference time per clip on one thread, including the features (median over rounds in which the models take
turns); training time and speed, without validation; largest difference between the probabilities of each export and of
the Keras model.
"""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags as absl_flags

from common import config as configs
from common import files, startup
from common.cli import app, early
from common.cli import flags as shared_flags
from common.encoders.config import check_embedding
from common.errors import UserError, nearest
from kws.config import MODELS, TASK, VARIANTS, Config


def define_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags of this entry point."""
    absl_flags.DEFINE_list(
        "variants",
        list(MODELS),
        f"variants to compare, separated by commas: {', '.join(VARIANTS)}",
        flag_values=flag_values,
    )
    absl_flags.DEFINE_string(
        "output_dir", f"runs/{TASK}/compare", "folder for the runs and the table", flag_values=flag_values
    )
    shared_flags.define_corpus_flags(flag_values)
    configs.define_field_flags(flag_values, VARIANTS["default"])


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Compare as the flags say."""
    app.refuse_arguments(arguments)
    folder = Path(flags.output_dir)
    planned = plan(flags, folder)
    files.check_writable(folder)
    for name, config in planned.items():
        early.check_run(TASK, config, folder / name, flags)
    # All variants have the same corpus. The first one is no embedding of a variant that is still to be trained.
    early.check_recordings(TASK, next(iter(planned.values())), flags)
    startup.load_tensorflow()
    from kws import comparison

    comparison.run(planned, folder, flags)


def plan(flags: configs.FlagValues, folder: Path) -> dict[str, Config]:
    """Return the configuration of each variant, with the flags that were given.

    The variant `embedding` comes last. Unless `--embedding` is given, it uses the first other variant with the same
    clip length and sample rate.

    Raises:
        UserError: There is no such variant, a value is out of its range, or a pretrained network is missing.
    """
    for name in flags.variants:
        if name not in VARIANTS:
            raise UserError(
                f"--variants: expected any of {', '.join(VARIANTS)}, got {name!r}.{nearest(name, VARIANTS)}"
            )
    given = configs.given(flags, VARIANTS["default"])
    if "model" in given:
        raise UserError("--model: each variant sets its own; choose variants with --variants")
    embedding = {name: given.pop(name) for name in ("embedding", "embedding_tensor", "fine_tune") if name in given}
    planned = {}
    for name in sorted(dict.fromkeys(flags.variants), key=lambda name: VARIANTS[name].model == "embedding"):
        config = dataclasses.replace(VARIANTS[name], **given)
        if config.model == "embedding":
            clip = (config.num_samples, config.sample_rate)
            sources = [other for other, taken in planned.items() if (taken.num_samples, taken.sample_rate) == clip]
            if not sources and "embedding" not in embedding:
                raise UserError(
                    "--variants=embedding alone needs --embedding, a run directory, a SavedModel or a LiteRT file"
                )
            embedding.setdefault("embedding", str(folder / sources[0]) if sources else "")
            config = dataclasses.replace(config, **embedding)
        check_embedding(config)
        planned[name] = config
    return planned


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))
