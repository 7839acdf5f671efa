"""Choose the threshold of a run by measurement: over folds of speakers, on recordings of keywords, or without keywords.

Each function returns what `kws.calibrate` stores as `calibration.json`: the threshold and how it was chosen.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from common import files, progress
from common.audio import formats, listing
from common.errors import UserError
from common.files import tables
from common.reporting import metrics
from kws import acceptance, evaluation
from kws.config import SILENCE, UNKNOWN
from kws.false_accepts import HOP_SECONDS, poisson_interval
from kws.inference import KeywordSpotter

_LEAST_KEYWORDS = 20
# From strict to lenient, in steps of a quarter of a logit.
_THRESHOLDS = 1 / (1 + np.exp(-np.arange(9, -4.6, -0.25)))


def of_predictions(table: pd.DataFrame, target_recall: float, where: str) -> dict:
    """Choose the largest threshold that accepts the fraction `target_recall` of the keywords.

    Args:
        table: As `test_predictions.csv` of a run: `true`, `speaker` and `keyword_score` of each clip.
        target_recall: Fraction of the keywords to accept, in (0, 1].
        where: What the clips are, for the file.

    Raises:
        UserError: There are fewer than 20 clips of keywords.
    """
    keywords = table[~table["true"].isin([SILENCE, UNKNOWN])]
    if len(keywords) < _LEAST_KEYWORDS:
        raise UserError(f"{where}: {len(keywords)} clips of keywords, expected at least {_LEAST_KEYWORDS}")
    scores = keywords["keyword_score"].to_numpy(np.float64)
    threshold = acceptance.choose_threshold(scores, target_recall)
    speakers = keywords["speaker"].fillna("").astype(str)
    return {
        "threshold": threshold,
        "rule": acceptance.RULE,
        "chosen": f"accepts {target_recall:.1%} of the keywords",
        "target_recall": target_recall,
        "recordings": where,
        "num_keywords": len(keywords),
        "num_speakers": int(speakers[speakers != ""].nunique()),
        "keywords_kept": metrics.proportion((scores >= threshold).sum(), len(scores)),
        "interval_by_speaker": metrics.clustered_interval(scores >= threshold, speakers.to_numpy()),
    }


def of_folds(folder: str | Path, target_recall: float) -> dict:
    """Choose the threshold over the folds of `kws.crossvalidate`: every speaker is tested by a model that never heard them.

    Args:
        folder: Folder with the runs `fold_0`, `fold_1` and so on.
        target_recall: As for `of_predictions`.

    Raises:
        UserError: There are no folds, or one has no predictions or damaged ones. As for `of_predictions`.
    """
    paths = sorted(Path(folder).glob("fold_*/test_predictions.csv"))
    runs = sorted(path for path in Path(folder).glob("fold_*") if path.is_dir())
    if not runs:
        raise UserError(f"{folder} has no folds (fold_0, fold_1, ...); give the --output_dir of kws.crossvalidate")
    if len(paths) < len(runs):
        missing = next(run for run in runs if not (run / "test_predictions.csv").exists())
        raise UserError(f"{missing} has no test_predictions.csv; run kws.crossvalidate to its end")
    read = []
    for path in paths:
        try:
            read.append(tables.read(path)[["true", "speaker", "keyword_score"]])
            if not np.isfinite(read[-1]["keyword_score"].to_numpy(np.float64)).all():
                raise ValueError("a score is not a number")
        except (ValueError, KeyError, OSError) as error:
            raise UserError(f"cannot read {path}: {error}; run kws.crossvalidate again") from error
    return of_predictions(pd.concat(read), target_recall, f"{len(paths)} folds of {folder}")


def of_split(predictions: evaluation.Predictions, target_recall: float, where: str) -> dict:
    """Choose the threshold on the predictions of a split; see `of_predictions`."""
    return of_predictions(evaluation.predictions_table(predictions), target_recall, where)


def of_background(spotter: KeywordSpotter, folder: str | Path, per_hour: float) -> dict:
    """Choose the smallest threshold with at most so many false accepts per hour in recordings without keywords.

    Args:
        spotter: The keyword spotter, with any threshold.
        folder: Folder of recordings.
        per_hour: False accepts per hour.

    Raises:
        UserError: The folder has no readable recordings, or no threshold is strict enough.
    """
    listed = listing.find(Path(folder))
    listed.tell()
    if not listed.files:
        raise UserError(f"{folder} has no audio files ({formats.USUAL_SUFFIXES})")
    recordings, num_windows = [], 0
    hop = spotter.hop_samples(HOP_SECONDS)
    with progress.bar(len(listed.files), "listening", "file") as meter:
        for path in listed.files:
            rows = list(spotter.rows(spotter.blocks(path, hop_seconds=HOP_SECONDS), hop))
            recordings.append(rows)
            num_windows += len(rows)
            meter.update()
    hours = num_windows * hop / spotter.sample_rate / 3600
    chosen = None
    for threshold in _THRESHOLDS:
        rule = spotter.rule(float(threshold), HOP_SECONDS)
        count = sum(1 for rows in recordings for _ in rule.words(rows))
        if count / hours > per_hour:
            break
        chosen = float(threshold), count
    if chosen is None:
        raise UserError(
            f"{folder}: {count / hours:.1f} false accepts per hour at the threshold {_THRESHOLDS[0]:.4f}, expected at most"
            f" {per_hour:g}; train with --unknown and --speech_dir"
        )
    threshold, count = chosen
    return {
        "threshold": threshold,
        "rule": acceptance.RULE,
        "chosen": f"at most {per_hour:g} false accepts per hour",
        "recordings": str(folder),
        "hours": hours,
        "false_accepts": count,
        "per_hour": count / hours,
        "interval": [bound / hours for bound in poisson_interval(count)],
    }


def store(run_dir: str | Path, calibration: dict) -> Path:
    """Write `calibration.json` into a run, and return its path."""
    path = Path(run_dir) / acceptance.CALIBRATION
    files.write_json(path, calibration)
    return path


def format_line(calibration: dict) -> str:
    """Format a calibration for the console."""
    line = f"threshold {calibration['threshold']:.3f}: {calibration['chosen']} of {calibration['recordings']}"
    if "keywords_kept" not in calibration:
        low, high = calibration["interval"]
        return (
            f"{line}: {calibration['false_accepts']} in {calibration['hours']:.2f} hours"
            f" (95 % interval {low:.1f} to {high:.1f} an hour)"
        )
    low, high = calibration["interval_by_speaker"] or (float("nan"),) * 2
    return (
        f"{line}: {calibration['num_keywords']} clips of {calibration['num_speakers']} speakers"
        f" (95 % interval by speaker {low:.1%} to {high:.1%})"
    )
