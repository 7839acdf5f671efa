"""Evaluation of a keyword spotter: metrics, tables and plots of a split."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pandas as pd

from common import batches, files
from common.files import tables
from common.reporting import calibration, metrics, mistakes, plots, roc
from kws import acceptance, data, estimate, few, rejection
from kws.config import Config


@dataclasses.dataclass(frozen=True)
class Metrics(metrics.Metrics):
    """Test metrics of a keyword spotter.

    Attributes:
        accuracy: Fraction of clips whose likeliest label is correct.
        accuracy_interval: 95 % interval of the accuracy.
        num_examples: Number of clips.
        keyword_auc: Area under the ROC curve of keywords against all other clips; None without other clips.
    """

    accuracy: float
    accuracy_interval: tuple[float, float]
    num_examples: int
    keyword_auc: float | None


class Predictions(NamedTuple):
    """Predictions of a model for the clips of a split.

    Attributes:
        labels: Names of the outputs.
        targets: Index of each clip's true label, `(clips,)`.
        probabilities: Shape `(clips, labels)`.
        files: The recording of each clip.
        speakers: The speaker of each clip; empty where unknown.
    """

    labels: tuple[str, ...]
    targets: np.ndarray
    probabilities: np.ndarray
    files: tuple[str, ...] = ()
    speakers: tuple[str, ...] = ()


def evaluate_split(
    model: keras.Model, corpus: data.Corpus, split: data.Split, *, trained_on: bool = True
) -> tuple[dict, Predictions]:
    """Compute all metrics of a split.

    Args:
        model: A trained model.
        corpus: From `data.load_corpus`.
        split: From `data.prepare_split`.
        trained_on: Whether the model was trained on this corpus. For another corpus the number of speakers shared with
            training is unknown.

    Returns:
        The metrics of `common.reporting.metrics.classification` with `confusion`, `calibration_error`, `keyword_auc`
        and `protocol`, and the predictions in the order of `split.table`.
    """
    config = corpus.config
    probabilities = batches.predict(model, data.build_dataset(config, split), f"evaluating {split.name}")
    rows = split.table
    targets = data.target_indices(config, rows["label"])
    figures = evaluate_predictions(targets, probabilities, config.labels)
    train_speakers = set(corpus.manifest.loc[corpus.manifest["split"] == "train", "speaker"]) - {""}
    speakers = set(rows["speaker"]) - {""}
    figures["protocol"] = {
        "corpus": config.corpus,
        "split": split.name,
        "split_rule": config.split_rule,
        "labels": list(config.labels),
        "num_speakers": len(speakers),
        "num_speakers_shared_with_training": len(speakers & train_speakers) if trained_on else None,
        "num_rejected": len(split.shards.rejected),
        "interval": "95 %, Wilson, assuming independent clips",
    }
    return figures, Predictions(config.labels, targets, probabilities, tuple(rows["path"]), tuple(rows["speaker"]))


def evaluate_predictions(targets: np.ndarray, probabilities: np.ndarray, labels: tuple[str, ...]) -> dict:
    """Return the metrics of `evaluate_split` without `protocol`.

    Args:
        targets: Index of each clip's true label, `(clips,)`.
        probabilities: Shape `(clips, labels)`.
        labels: Names of the outputs.
    """
    figures = metrics.classification(targets, probabilities, labels)
    figures["confusion"] = metrics.confusion(targets, probabilities.argmax(axis=1), labels).to_numpy()
    figures["calibration_error"] = calibration.expected_error(_reliability(targets, probabilities))
    figures["keyword_auc"] = _keyword_auc(targets, probabilities, labels)
    return figures


def evaluate_left_out(
    config: Config, out: few.LeftOutScores, table: pd.DataFrame, threshold: float
) -> tuple[dict, Predictions]:
    """Compute the metrics of `evaluate_split`, and `rejection`, of recordings that a fitted head was not fitted to.

    Args:
        config: The configuration.
        out: What the head says about them.
        table: The recordings.
        threshold: The stored threshold.
    """
    rows, probabilities = table.iloc[out.rows], out.probabilities
    figures = evaluate_predictions(out.targets, probabilities, config.labels)
    figures["protocol"] = {
        "corpus": config.corpus,
        "split": out.how,
        "split_rule": config.split_rule,
        "labels": list(config.labels),
        "num_speakers": len(set(rows["speaker"]) - {""}),
        "num_speakers_shared_with_training": None,
        "num_rejected": 0,
        "interval": "95 %, Wilson, assuming independent clips",
    }
    figures["rejection"], _ = rejection.evaluate_predictions(config, out.targets, probabilities, threshold, {})
    return figures, Predictions(config.labels, out.targets, probabilities, tuple(rows["path"]), tuple(rows["speaker"]))


def format_table(figures: dict) -> str:
    """Format the metrics of `evaluate_split`, and the estimate of `kws.estimate` if there is one, for the console."""
    about_head = estimate.format_lines(figures)
    if "labels" not in figures:
        return "\n".join(about_head)
    width = max(len(label) for label in figures["labels"])
    lines = [f"{'word':<{width}}  precision  recall     f1    auc  clips"]
    for label, row in figures["labels"].items():
        if not row["support"]:
            lines.append(f"{label:<{width}}  {'–':>9}  {'–':>6}  {'–':>5}  {'–':>5}      0")
            continue
        auc = "    –" if row["auc"] is None else f"{row['auc']:5.3f}"
        lines.append(
            f"{label:<{width}}  {row['precision']:9.1%}  {row['recall']:6.1%}  {row['f1']:5.1%}  {auc}  {row['support']:5d}"
        )
    low, high = figures["accuracy_interval"]
    lines.append(
        f"accuracy {figures['accuracy']:.2%}  (95 % interval {low:.1%} to {high:.1%}, {figures['num_examples']} clips)"
    )
    if "calibration_error" in figures:
        lines.append(f"calibration error {figures['calibration_error']:.1%}  (ECE: accuracy against probability)")
    lines += metrics.caution(figures["num_examples"], "clips", f"{low:.1%} to {high:.1%}", width=high - low)
    # Older runs have no stored threshold and so no rejection metrics.
    if figures.get("rejection"):
        lines.append(rejection.format_table(figures["rejection"]))
    return "\n".join(lines + about_head)


def save_plots(figures: dict, details: Predictions, stem: Path) -> list[Path]:
    """Write the confusion matrix (CSV and PNG), the ROC curves and the calibration (PNG), the mistakes and all predictions (CSV).

    Args:
        figures: From `evaluate_split`.
        details: From `evaluate_split`.
        stem: Prefix of the file paths.

    Returns:
        The files written.
    """
    labels, targets, probabilities = details[:3]
    names = ("confusion.csv", "confusion.png", "roc.png", "reliability.png", "mistakes.csv", "predictions.csv")
    paths = [files.beside(stem, f"_{name}") for name in names]
    counts = metrics.confusion(targets, probabilities.argmax(axis=1), labels)
    tables.write(counts, paths[0], index=True)
    plots.save(plots.confusion(counts, f"accuracy {figures['accuracy']:.1%}"), paths[1])
    curves = {
        label: metrics.roc(targets == index, probabilities[:, index])
        for index, label in enumerate(labels)
        if 0 < (targets == index).sum() < len(targets)
    }
    truth, score = _keyword_scores(targets, probabilities, labels)
    if 0 < truth.sum() < len(truth):
        curves = {"any keyword": metrics.roc(truth, score), **curves}
    plots.save(roc.draw(curves, "one against the rest", emphasis="any keyword"), paths[2])
    title = f"calibration error {figures['calibration_error']:.1%}"
    plots.save(calibration.draw(_reliability(targets, probabilities), title), paths[3])
    tables.write(_mistakes(details), paths[4])
    tables.write(predictions_table(details), paths[5])
    return paths


def _reliability(targets: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    return calibration.reliability(probabilities.max(axis=1), probabilities.argmax(axis=1) == targets)


def _mistakes(details: Predictions) -> pd.DataFrame:
    """List the clips whose likeliest label is wrong."""
    predicted = details.probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != details.targets)
    labels = np.asarray(details.labels)
    return mistakes.table(
        [details.files[index] for index in wrong],
        labels[details.targets[wrong]],
        labels[predicted[wrong]],
        details.probabilities[wrong, predicted[wrong]],
    )


def predictions_table(details: Predictions) -> pd.DataFrame:
    """List all clips, with the score by which a keyword is accepted."""
    labels = np.asarray(details.labels)
    predicted = details.probabilities.argmax(axis=1)
    return pd.DataFrame(
        {
            "file": details.files,
            "speaker": details.speakers,
            "true": labels[details.targets],
            "predicted": labels[predicted],
            "probability": details.probabilities.max(axis=1),
            "keyword_score": acceptance.keyword_scores(details.probabilities, details.labels),
        }
    )


def _keyword_scores(
    targets: np.ndarray, probabilities: np.ndarray, labels: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return whether each clip is a keyword, and its keyword score."""
    return acceptance.is_keyword(labels)[targets], acceptance.keyword_scores(probabilities, labels)


def _keyword_auc(targets: np.ndarray, probabilities: np.ndarray, labels: tuple[str, ...]) -> float | None:
    """Area under the ROC curve of keywords against all other clips; None without other clips."""
    truth, score = _keyword_scores(targets, probabilities, labels)
    return metrics.roc_auc(truth, score)
