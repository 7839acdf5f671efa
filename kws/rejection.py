"""Rejection metrics: how well the threshold of `kws.acceptance` accepts keywords and rejects everything else."""

from pathlib import Path

import keras
import numpy as np
import pandas as pd

from common import batches, files
from common.corpora import noise
from common.data import shards
from common.reporting import metrics, plots, roc
from kws import acceptance, data
from kws.config import SILENCE, UNKNOWN, Config

NOISE, UNSEEN = "noise", "unseen words"
_SOURCES = {
    "validation": "stored threshold, chosen on validation",
    "calibration": "stored threshold, from calibration.json",
    "few": "stored threshold, chosen for few recordings",
    "default": "default threshold",
}


def store_threshold(model: keras.Model, corpus: data.Corpus, validation: data.Split, run_dir: str | Path) -> float:
    """Choose the threshold on the validation split and write it to the run directory, with how it was chosen.

    Args:
        model: The trained model.
        corpus: From `data.load_corpus`.
        validation: The validation split, from `data.prepare_split`.
        run_dir: The run directory.

    Returns:
        The threshold.
    """
    config = corpus.config
    probabilities = batches.predict(model, data.build_dataset(config, validation), "choosing the threshold")
    targets = data.target_indices(config, validation.table["label"])
    return choose_threshold(config, targets, probabilities, "validation", run_dir)


def choose_threshold(
    config: Config,
    targets: np.ndarray,
    probabilities: np.ndarray,
    split: str,
    run_dir: str | Path,
    threshold: float | None = None,
) -> float:
    """Choose the threshold on predictions and write it to the run directory, with how it was chosen.

    Args:
        config: The configuration.
        targets: Index of each clip's true label, `(clips,)`.
        probabilities: Shape `(clips, labels)`.
        split: What the clips are.
        run_dir: The run directory.
        threshold: The threshold, if there is nothing to choose it on.

    Returns:
        The threshold.
    """
    truth = acceptance.is_keyword(config.labels)[targets]
    scores = acceptance.keyword_scores(probabilities, config.labels)[truth]
    threshold = acceptance.choose_threshold(scores, config.target_recall) if threshold is None else threshold
    stored = {
        "threshold": threshold,
        "rule": acceptance.RULE,
        "target_recall": config.target_recall,
        "split": split,
        "keywords_kept": metrics.proportion((scores >= threshold).sum(), len(scores)),
        "keywords_kept_and_right": metrics.proportion(
            ((scores >= threshold) & _right(config.labels, targets, probabilities)[truth]).sum(), len(scores)
        ),
    }
    files.write_json(Path(run_dir) / acceptance.FILE, stored)
    return threshold


def evaluate_split(
    model: keras.Model,
    corpus: data.Corpus,
    split: data.Split,
    probabilities: np.ndarray,
    threshold: float,
) -> tuple[dict, dict[str, np.ndarray]]:
    """Compute the fractions of accepted keywords and of rejected other clips.

    The other clips are the classes `_unknown_` and `_silence_` of the split, noise that is not a class of the model,
    and unseen words (not in training), both by all speakers and by the speakers of the split only.

    Args:
        model: The trained model.
        corpus: From `data.load_corpus`.
        split: From `data.prepare_split`.
        probabilities: Probabilities of the split's clips, from `evaluation.evaluate_split`.
        threshold: From `acceptance.operating_point`.

    Returns:
        The metrics at the given threshold (`stored_threshold`) and at the one that accepts the fraction `target_recall`
        of this split's keywords (`operating_point`), and the scores of each group of clips.
    """
    config = corpus.config
    groups = {}
    unseen = _unseen_clips(model, corpus)
    if len(unseen):
        groups[f"{UNSEEN}, all speakers"] = unseen["score"].to_numpy()
        of_split = unseen[unseen["split"] == split.name]
        # The random split assigns recordings, so a speaker belongs to no single split.
        if len(of_split) and config.split_rule != "random":
            groups[f"{UNSEEN}, speakers of {split.name}"] = of_split["score"].to_numpy()
    noises = _noise_scores(model, corpus, split.name)
    if len(noises):
        groups[NOISE] = noises
    targets = data.target_indices(config, split.table["label"])
    return evaluate_predictions(config, targets, probabilities, threshold, groups, unseen)


def evaluate_predictions(
    config: Config,
    targets: np.ndarray,
    probabilities: np.ndarray,
    threshold: float,
    others: dict[str, np.ndarray],
    unseen: pd.DataFrame | None = None,
) -> tuple[dict, dict[str, np.ndarray]]:
    """Compute the metrics of `evaluate_split` from predictions.

    Args:
        config: The configuration.
        targets: Index of each clip's true label, `(clips,)`.
        probabilities: Shape `(clips, labels)`.
        threshold: The stored threshold.
        others: Scores of further groups of clips that are no keywords.
        unseen: `label` and `score` of the clips of unseen words.
    """
    right = _right(config.labels, targets, probabilities)
    split_scores = acceptance.keyword_scores(probabilities, config.labels)
    truth = acceptance.is_keyword(config.labels)[targets]
    labels = np.asarray(config.labels)[targets]
    groups = {label: split_scores[labels == label] for label in (UNKNOWN, SILENCE) if label in labels} | others

    def at(value: float) -> dict:
        accepted = split_scores[truth] >= value
        return {
            "threshold": value,
            "keywords_kept": metrics.proportion(accepted.sum(), len(accepted)),
            "keywords_kept_and_right": metrics.proportion((accepted & right[truth]).sum(), len(accepted)),
            "rejected": {
                name: metrics.proportion((scores < value).sum(), len(scores)) for name, scores in groups.items()
            },
            "unseen_words": {
                word: metrics.proportion((scores < value).sum(), len(scores))
                for word, scores in ([] if unseen is None else unseen.groupby("label")["score"])
            },
        }

    figures = {"rule": acceptance.RULE, "target_recall": config.target_recall}
    if config.fits_head:
        figures["threshold_source"] = "few"
    if truth.any():
        figures["stored_threshold"] = at(threshold)
        figures["operating_point"] = at(acceptance.choose_threshold(split_scores[truth], config.target_recall))
    return figures, {"keywords": split_scores[truth], **groups}


def pool(figures: list[dict]) -> dict:
    """Pool the counts of several evaluations, e.g. of folds, each at its own thresholds."""
    pooled = {}
    for point in ("stored_threshold", "operating_point"):
        points = [item[point] for item in figures if point in item]
        if points:
            names = {name: None for item in points for name in item["rejected"]}
            pooled[point] = {
                **{
                    name: metrics.pool_proportions([item[name] for item in points])
                    for name in ("keywords_kept", "keywords_kept_and_right")
                },
                "rejected": {
                    name: metrics.pool_proportions(
                        [item["rejected"][name] for item in points if name in item["rejected"]]
                    )
                    for name in names
                },
            }
    return pooled


def format_table(figures: dict) -> str:
    """Format the metrics of `evaluate_split` or `pool` for the console."""
    lines = []
    for point, title in (
        ("stored_threshold", _SOURCES[figures.get("threshold_source", "validation")]),
        ("operating_point", "threshold chosen on these keywords for the target recall"),
    ):
        if point not in figures:
            continue
        item = figures[point]
        lines.append(f"{title}: {item['threshold']:.3f}" if "threshold" in item else title)
        shown = {
            "keywords accepted": item["keywords_kept"],
            "keywords accepted and correct": item["keywords_kept_and_right"],
            **{f"{name.strip('_')} rejected": value for name, value in item["rejected"].items()},
        }
        lines += [f"  {name:<42} {metrics.format_proportion(value)}" for name, value in shown.items() if value["total"]]
    return "\n".join(lines)


def save_plot(scores: dict[str, np.ndarray], figures: dict, path: Path) -> list[Path]:
    """Plot the accepted keywords against the other accepted clips and mark the stored threshold.

    Args:
        scores: From `evaluate_split`.
        figures: From `evaluate_split`.
        path: The PNG to write.

    Returns:
        The files written; empty without keywords or other clips.
    """
    keywords = scores["keywords"]
    curves = {
        name: metrics.roc(np.repeat([True, False], [len(keywords), len(others)]), np.concatenate([keywords, others]))
        for name, others in scores.items()
        if name != "keywords" and len(keywords)
    }
    if not curves:
        return []
    stored = figures["stored_threshold"]
    marks = [(1 - stored["rejected"][name]["share"], stored["keywords_kept"]["share"]) for name in curves]
    title = f"dots: stored threshold {stored['threshold']:.3f}"
    axes = ("fraction of other clips accepted", "fraction of keywords accepted")
    plots.save(roc.draw(curves, title, axes, marks), path)
    return [path]


def _right(labels: tuple[str, ...], targets: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Whether the likeliest keyword of each clip is correct, shape `(clips,)`."""
    keywords = np.flatnonzero(acceptance.is_keyword(labels))
    return keywords[probabilities[:, keywords].argmax(axis=1)] == targets


def _unseen_clips(model: keras.Model, corpus: data.Corpus) -> pd.DataFrame:
    """Return `label`, `split` and `score` of the recordings of unseen words."""
    if corpus.unseen.empty:
        return pd.DataFrame({"label": [], "split": [], "score": []})
    prepared = _prepare(corpus, corpus.unseen, "preparing unseen words")
    rows = prepared.manifest.iloc[prepared.rows]
    return rows[["label", "split"]].assign(score=_scores(model, corpus, prepared))


def _noise_scores(model: keras.Model, corpus: data.Corpus, split: str) -> np.ndarray:
    """Return scores of excerpts of the split's noise, unless it is already the class `_silence_`."""
    rows = corpus.noise if split == "all" else corpus.noise[corpus.noise["split"] == split]
    if rows.empty or (corpus.config.silence and not corpus.config.noise_dir):
        return np.array([])
    excerpts = noise.excerpts(rows, corpus.config.clip_seconds)
    return _scores(model, corpus, _prepare(corpus, excerpts, "preparing noise"))


def _prepare(corpus: data.Corpus, rows: pd.DataFrame, description: str) -> shards.Shards:
    config = corpus.config
    return shards.prepare(
        rows,
        corpus.shards_dir,
        config.sample_rate,
        clip_seconds=config.clip_seconds,
        max_rejected=config.max_rejected,
        description=description,
    )


def _scores(model: keras.Model, corpus: data.Corpus, prepared: shards.Shards) -> np.ndarray:
    probabilities = batches.predict(model, data.clip_batches(corpus.config, prepared), "evaluating rejection")
    return acceptance.keyword_scores(probabilities, corpus.config.labels)
