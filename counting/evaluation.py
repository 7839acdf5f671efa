"""Evaluation of a speaker counter: metrics, tables and plots of a split, under several conditions."""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pandas as pd
from sklearn.metrics import mean_absolute_error

from common import batches, files, progress
from common.errors import UserError
from common.files import tables
from common.log import logger
from common.reporting import metrics, mistakes, plots
from counting import data, inference
from counting.config import PREPARED, Config

# Test conditions, in addition to the configuration of the run. All but the first use voiced excerpts. The first two
# keep the mean of the excerpts; in all others the level does not depend on the count.
_EQUAL = {"cuts": "voiced", "label_rule": "mixed", "level_rule": "equal"}
_GAINS_DB = (0.0, 3.0, 6.0, 9.0, 12.0)
_SNRS_DB = (20.0, 10.0, 5.0, 0.0)
CONDITIONS: dict[str, dict] = {
    "any cuts, mean": {"cuts": "random", "label_rule": "mixed", "level_rule": "mean"},
    "voiced cuts, mean": {"cuts": "voiced", "label_rule": "mixed", "level_rule": "mean"},
    "equal loudness": _EQUAL,
    "rooms, RT60 0.3 to 0.6 s": {
        **_EQUAL,
        "reverberation_probability": 1.0,
        "min_rt60_seconds": 0.3,
        "max_rt60_seconds": 0.6,
    },
    **{f"speakers ± {gain:g} dB": {**_EQUAL, "level_rule": "drawn", "speaker_gain_db": gain} for gain in _GAINS_DB},
    **{
        f"noise at {snr:g} dB": {**_EQUAL, "noise_probability": 1.0, "min_snr_db": snr, "max_snr_db": snr}
        for snr in _SNRS_DB
    },
}


@dataclasses.dataclass(frozen=True)
class Metrics(metrics.Metrics):
    """Test metrics of a speaker counter.

    Attributes:
        accuracy: Fraction of mixtures whose count is correct.
        accuracy_interval: 95 % interval of the accuracy.
        num_examples: Number of mixtures.
        mean_absolute_error: Mean absolute error of the count, in speakers.
        sex_accuracy: Fraction of mixtures with correct numbers of women and men; None if the model does not predict
            sexes.
    """

    accuracy: float
    accuracy_interval: tuple[float, float]
    num_examples: int
    mean_absolute_error: float
    sex_accuracy: float | None


class Predictions(NamedTuple):
    """Predictions of a model for the mixtures of a split.

    Attributes:
        probabilities: Shape `(mixtures, labels)`.
        decided: From `inference.decide`.
        truth: True numbers of women and men, shape `(mixtures, 2)`.
        sources: Returns the recordings of the mixtures with the given numbers.
    """

    probabilities: np.ndarray
    decided: dict[str, np.ndarray]
    truth: np.ndarray
    sources: Callable[[np.ndarray], list[str]]


def evaluate_split(
    model: keras.Model,
    corpus: data.Corpus,
    split: data.Split,
    *,
    train_speakers: set[str] | None = None,
    num_examples: int | None = None,
) -> tuple[dict, Predictions]:
    """Compute all metrics of a split.

    Args:
        model: A trained model.
        corpus: From `data.load_corpus`; its configuration defines the mixtures of the split, see `data.as_evaluated`.
        split: From `data.prepare_split`.
        train_speakers: Names of the training speakers; None if unknown.
        num_examples: Number of mixtures; None for the number in the configuration.

    Returns:
        The metrics, and the predictions. The metrics are those of `common.reporting.metrics.classification` for the
        counts, `mean_absolute_error`, `by_count`, `confusion` and `protocol`. If the model predicts sexes, also
        `sex_accuracy` (numbers of women and men both correct), `sex_accuracy_interval`, `sex_confusion`, `by_sex`, and
        the mean absolute errors of women and men.
    """
    config = corpus.config
    dataset = data.build_dataset(config, split, num_examples=num_examples, sexes_needed=False)
    probabilities = batches.predict(model, dataset, f"evaluating {split.name}")
    predictions = inference.decide(probabilities, config.counts, config.known_sexes)
    truth = data.evaluated_truth(config, split, num_examples)
    totals, predicted = truth.sum(axis=1), predictions["count"]
    targets = totals - config.min_speakers
    names = tuple(str(count) for count in config.counts)
    figures = metrics.classification(targets, predictions["count_probabilities"], names)
    figures["mean_absolute_error"] = float(mean_absolute_error(totals, predicted))
    figures["by_count"] = {
        name: {
            "accuracy": float((predicted[totals == count] == count).mean()),
            "mean_absolute_error": float(np.abs(predicted[totals == count] - count).mean()),
        }
        for name, count in zip(names, config.counts, strict=True)
        if (totals == count).any()
    }
    figures["confusion"] = metrics.confusion(targets, predicted - config.min_speakers, names).to_numpy()
    if config.known_sexes and data.knows_sexes(split):
        figures |= sex_figures(config, truth, np.stack([predictions["female"], predictions["male"]], axis=1))
    figures["protocol"] = _protocol(config, split, train_speakers, len(truth))
    sources = functools.partial(data.evaluated_files, config, split, num_examples=num_examples)
    return figures, Predictions(probabilities, predictions, truth, sources)


def sex_figures(config: Config, truth: np.ndarray, predicted: np.ndarray) -> dict:
    """Compute the metrics of `evaluate_split` for women and men.

    Args:
        config: The configuration, which defines the labels.
        truth: True numbers of women and men, shape `(mixtures, 2)`.
        predicted: Predicted numbers, shape `(mixtures, 2)`.
    """
    targets, predicted_labels = (data.label_indices(config, pairs) for pairs in (truth, predicted))
    right = targets == predicted_labels
    correct = int(right.sum())
    of_kind = {
        "women only": (truth[:, 0] > 0) & (truth[:, 1] == 0),
        "men only": (truth[:, 0] == 0) & (truth[:, 1] > 0),
        "women and men": (truth > 0).all(axis=1),
    }
    return {
        "sex_labels": list(config.labels),
        "sex_accuracy": correct / len(targets),
        "sex_accuracy_interval": list(metrics.wilson_interval(correct, len(targets))),
        "sex_confusion": metrics.confusion(targets, predicted_labels, config.labels).to_numpy(),
        "female_mean_absolute_error": float(mean_absolute_error(truth[:, 0], predicted[:, 0])),
        "male_mean_absolute_error": float(mean_absolute_error(truth[:, 1], predicted[:, 1])),
        "by_sex": {
            kind: {
                "accuracy": float((predicted.sum(axis=1) == truth.sum(axis=1))[chosen].mean()),
                "sex_accuracy": float(right[chosen].mean()),
                "num_examples": int(chosen.sum()),
            }
            for kind, chosen in of_kind.items()
            if chosen.any()
        },
    }


def _protocol(config: Config, split: data.Split, train_speakers: set[str] | None, num_examples: int) -> dict:
    protocol = {
        "corpus": config.corpus,
        "split": split.name,
        "num_mixtures": num_examples,
        "clip_seconds": config.clip_seconds,
        "counts": list(config.counts),
        "num_rejected": len(split.shards.rejected),
        "interval": "95 %, Wilson, assuming independent mixtures",
    }
    if split.bank is None:
        return protocol
    speakers = set(split.bank.table["speaker"]) - {""}
    mixing = ("cuts", "min_activity", "label_rule", "level_rule", "speaker_gain_db", "min_level_db", "max_level_db")
    changes = ("reverberation_probability", "min_rt60_seconds", "max_rt60_seconds", "noise_probability", "min_snr_db")
    return {
        **protocol,
        **{name: getattr(config, name) for name in (*mixing, *changes)},
        "noise": config.noise_dir if split.noise is not None else "coloured",
        "num_speakers": len(speakers),
        "num_speakers_shared_with_training": None if train_speakers is None else len(speakers & train_speakers),
    }


def under_conditions(
    model: keras.Model,
    corpus: data.Corpus,
    split: data.Split,
    *,
    train_speakers: set[str] | None = None,
    num_examples: int | None = None,
) -> Iterator[tuple[str, dict]]:
    """Yield the name and metrics of each of `CONDITIONS`; none for prepared mixtures, which cannot be changed."""
    if corpus.config.corpus == PREPARED:
        return
    asked = {"train_speakers": train_speakers, "num_examples": num_examples}
    with progress.bar(len(CONDITIONS), "evaluating conditions", "condition") as meter:
        for name, changes in CONDITIONS.items():
            condition = dataclasses.replace(data.as_evaluated(corpus.config), **changes)
            try:
                yield name, evaluate_split(model, dataclasses.replace(corpus, config=condition), split, **asked)[0]
            except UserError as error:
                logger.warning('condition "%s" skipped: %s', name, error)
            meter.update()


def format_table(figures: dict) -> str:
    """Format the metrics of `evaluate_split`, and of `conditions` if present, for the console."""
    lines = ["speakers  accuracy  mean error  precision  mixtures"]
    for count, row in figures["by_count"].items():
        label = figures["labels"][count]
        lines.append(
            f"{count:>8}  {row['accuracy']:8.1%}  {row['mean_absolute_error']:10.3f}  {label['precision']:9.1%}"
            f"  {label['support']:8d}"
        )
    if "by_sex" in figures:
        lines += ["", "sexes          count correct  women and men correct  mixtures"]
        for kind, row in figures["by_sex"].items():
            lines.append(f"{kind:<13}  {row['accuracy']:13.1%}  {row['sex_accuracy']:21.1%}  {row['num_examples']:8d}")
    if figures.get("conditions"):
        width = max(map(len, figures["conditions"]))
        lines += ["", f"{'condition':<{width}}  accuracy  mean error  women and men correct"]
        for name, row in figures["conditions"].items():
            sexes = f"{row['sex_accuracy']:21.1%}" if "sex_accuracy" in row else f"{'–':>21}"
            lines.append(f"{name:<{width}}  {row['accuracy']:8.1%}  {row['mean_absolute_error']:10.3f}  {sexes}")
    low, high = figures["accuracy_interval"]
    lines += ["", f"mean absolute error {figures['mean_absolute_error']:.3f}"]
    if "sex_accuracy" in figures:
        lines.append(f"women and men both correct {figures['sex_accuracy']:.2%}")
    lines.append(
        f"accuracy {figures['accuracy']:.2%}  (95 % interval {low:.1%} to {high:.1%}, {figures['num_examples']} mixtures)"
    )
    lines += metrics.caution(figures["num_examples"], "mixtures", f"{low:.1%} to {high:.1%}", width=high - low)
    return "\n".join(lines)


def save_plots(figures: dict, details: Predictions, stem: Path) -> list[Path]:
    """Write the confusion matrices (CSV and PNG), the mistakes (CSV) and if present the accuracy under conditions (PNG).

    Args:
        figures: From `evaluate_split`.
        details: From `evaluate_split`.
        stem: Prefix of the file paths.

    Returns:
        The files written.
    """
    names = list(figures["labels"])
    paths = _save_confusion(figures["confusion"], names, f"accuracy {figures['accuracy']:.1%}", stem, "confusion")
    if "sex_confusion" in figures:
        labels = list(figures["sex_labels"])
        title = f"women and men both correct {figures['sex_accuracy']:.1%}"
        paths += _save_confusion(figures["sex_confusion"], labels, title, stem, "sex_confusion")
    if figures.get("conditions"):
        paths.append(files.beside(stem, "_conditions.png"))
        plots.save(_condition_curves(figures["conditions"]), paths[-1])
    paths.append(files.beside(stem, "_mistakes.csv"))
    tables.write(_mistakes(details, "sex_confusion" in figures), paths[-1])
    return paths


def _mistakes(details: Predictions, with_sexes: bool) -> pd.DataFrame:
    """List the mixtures whose count is wrong, with the numbers of women and men if they are known and predicted."""
    decided, totals = details.decided, details.truth.sum(axis=1)
    wrong = np.flatnonzero(decided["count"] != totals)
    sexes = {}
    if with_sexes:
        sexes = {"true_female": details.truth[wrong, 0], "true_male": details.truth[wrong, 1]}
        sexes |= {f"predicted_{name}": decided[name][wrong] for name in ("female", "male")}
    confidence = decided["count_probabilities"][wrong].max(axis=1)
    return mistakes.table(details.sources(wrong), totals[wrong], decided["count"][wrong], confidence, **sexes)


def _save_confusion(counts: np.ndarray, labels: list[str], title: str, stem: Path, name: str) -> list[Path]:
    table = pd.DataFrame(counts, pd.Index(labels, name="true"), pd.Index(labels, name="predicted"))
    paths = [files.beside(stem, f"_{name}.{suffix}") for suffix in ("csv", "png")]
    tables.write(table, paths[0], index=True)
    plots.save(plots.confusion(table, title), paths[1])
    return paths


def _condition_curves(conditions: dict[str, dict]) -> plots.Figure:
    """Plot accuracy against the speakers' level range and against the signal-to-noise ratio."""
    rows = []
    for panel, template, values in (
        ("random gain of each speaker, ± dB", "speakers ± {:g} dB", _GAINS_DB),
        ("signal-to-noise ratio in dB", "noise at {:g} dB", _SNRS_DB),
    ):
        for value in values:
            figures = conditions.get(template.format(value))
            if figures is None:
                continue
            rows.append((panel, "count", value, figures["accuracy"]))
            if "sex_accuracy" in figures:
                rows.append((panel, "women and men", value, figures["sex_accuracy"]))
    return plots.panels(pd.DataFrame(rows, columns=["panel", "curve", "x", "y"]), y_name="fraction correct")
