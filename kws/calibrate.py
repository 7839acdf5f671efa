"""Choose the threshold of a trained keyword spotter by measurement.

  python -m kws.calibrate --run_dir runs/kws/mine --folds=runs/kws/default_folds
  python -m kws.calibrate --run_dir runs/kws/mine --corpus=folder --data_dir=more_words --split=all
  python -m kws.calibrate --run_dir runs/kws/mine --background_dir=radio --false_accepts_per_hour=1

Writes calibration.json into the run. From then on it replaces the threshold that training chose on the validation split;
predict --threshold still overrides it. Delete the file to go back.
"""

import os
import sys
from collections.abc import Sequence

from absl import flags as absl_flags

from common import config as configs
from common import run_folders, startup
from common.cli import app, early
from common.cli import flags as shared_flags
from common.errors import UserError
from kws.config import KWS_CORPORA, TASK, Config


def define_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags of this entry point."""
    shared_flags.define_run_flag(flag_values, TASK)
    shared_flags.define_other_corpus_flags(flag_values, KWS_CORPORA)
    absl_flags.DEFINE_string(
        "folds", None, "folder of kws.crossvalidate: choose the threshold over its folds", flag_values=flag_values
    )
    absl_flags.DEFINE_float(
        "target_recall",
        None,
        "fraction of the keywords that is accepted (default: that of the run)",
        0.5,
        1,
        flag_values=flag_values,
    )
    absl_flags.DEFINE_string(
        "background_dir",
        None,
        "folder of recordings without keywords, for --false_accepts_per_hour",
        flag_values=flag_values,
    )
    absl_flags.DEFINE_float(
        "false_accepts_per_hour", None, "accept at most this many words of --background_dir", 0, flag_values=flag_values
    )


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Calibrate as the flags say."""
    app.refuse_arguments(arguments)
    if (flags.background_dir is None) != (flags.false_accepts_per_hour is None):
        raise UserError("--background_dir and --false_accepts_per_hour need each other; give both")
    if flags.background_dir and (flags.target_recall is not None or flags.folds):
        raise UserError("--false_accepts_per_hour: not with --target_recall or --folds; choose one")
    config = run_folders.load(Config, TASK, flags.run_dir)
    if flags.background_dir and not os.path.isdir(flags.background_dir):
        raise UserError(f"--background_dir: {flags.background_dir} is not a folder; expected a folder of audio files")
    if not (flags.background_dir or flags.folds):
        early.check_evaluation(TASK, Config, flags)
    recall = config.target_recall if flags.target_recall is None else flags.target_recall
    if not flags.folds:
        startup.load_tensorflow()
    from kws import operating_points

    if flags.folds:
        calibration = operating_points.of_folds(flags.folds, recall)
    elif flags.background_dir:
        from kws.models import load_for_inference

        spotter = load_for_inference(flags.run_dir)
        calibration = operating_points.of_background(spotter, flags.background_dir, flags.false_accepts_per_hour)
    else:
        calibration = _of_split(flags, recall)
    print(operating_points.format_line(calibration))
    print(f"written: {operating_points.store(flags.run_dir, calibration)}")


def _of_split(flags: configs.FlagValues, recall: float) -> dict:
    from kws import data, evaluation, operating_points
    from kws.models import load_model

    trained, model = load_model(flags.run_dir)
    config = data.with_corpus(trained, flags.corpus, flags.data_dir)
    corpus = data.load_corpus(config, flags.shards_dir, download=flags.download, trained=config != trained)
    _, predictions = evaluation.evaluate_split(model, corpus, data.prepare_split(corpus, flags.split))
    return operating_points.of_split(predictions, recall, f"{flags.split} of {config.data_dir or config.corpus}")


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))
