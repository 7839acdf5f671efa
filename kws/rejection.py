"""Saying no: how well the threshold of `kws.acceptance` keeps keywords and rejects what is none."""

from pathlib import Path

import keras
import numpy as np
import pandas as pd

from common import files
from common.corpora import noise
from common.data import shards
from common.reporting import metrics, plots
from kws import acceptance, data
from kws.config import SILENCE, UNKNOWN

NOISE, UNSEEN = "noise", "unseen words"


def store_threshold(model: keras.Model, corpus: data.Corpus, validation: data.Split, run_dir: str | Path) -> float:
    """Choose the threshold on the validation split and write it, with how it was chosen, to the run directory.

    Args:
        model: The trained model.
        corpus: From `data.load_corpus`.
        validation: The validation split, from `data.prepare_split`.
        run_dir: The run directory.

    Returns:
        The threshold.
    """
    config = corpus.config
    probabilities = model.predict(data.build_dataset(config, validation), verbose=0)
    targets = data.target_indices(config, validation.table["label"])
    truth = acceptance.is_keyword(config.labels)[targets]
    scores = acceptance.keyword_scores(probabilities, config.labels)[truth]
    threshold = acceptance.choose_threshold(scores, config.target_recall)
    stored = {
        "threshold": threshold,
        "rule": acceptance.RULE,
        "target_recall": config.target_recall,
        "split": "validation",
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
    """Measure how many keywords are kept and how much else is rejected.

    Judged are the classes `_unknown_` and `_silence_` of the split; noise that is no class of the model; and words that
    training never heard, once by all speakers and once by those of the split alone.

    Args:
        model: The trained model.
        corpus: From `data.load_corpus`.
        split: From `data.prepare_split`.
        probabilities: Of the split's clips, from `evaluation.evaluate_split`.
        threshold: From `acceptance.load_threshold`.

    Returns:
        The figures at the given threshold (`stored_threshold`) and at the one that keeps the share `target_recall` of
        this split's own keywords (`operating_point`), and the scores of each group of clips.
    """
    config = corpus.config
    rows = split.table
    targets = data.target_indices(config, rows["label"])
    right = _right(config.labels, targets, probabilities)
    own = acceptance.keyword_scores(probabilities, config.labels)
    groups = {label: own[rows["label"] == label] for label in (UNKNOWN, SILENCE) if (rows["label"] == label).any()}
    truth = acceptance.is_keyword(config.labels)[targets]
    unseen = _unseen_clips(model, corpus)
    if len(unseen):
        groups[f"{UNSEEN}, all speakers"] = unseen["score"].to_numpy()
        of_split = unseen[unseen["split"] == split.name]
        # The random split is one of recordings: it does not say on which side a speaker is.
        if len(of_split) and config.split_rule != "random":
            groups[f"{UNSEEN}, speakers of {split.name}"] = of_split["score"].to_numpy()
    noises = _noise_scores(model, corpus, split.name)
    if len(noises):
        groups[NOISE] = noises

    def at(value: float) -> dict:
        kept = own[truth] >= value
        return {
            "threshold": value,
            "keywords_kept": metrics.proportion(kept.sum(), len(kept)),
            "keywords_kept_and_right": metrics.proportion((kept & right[truth]).sum(), len(kept)),
            "rejected": {
                name: metrics.proportion((scores < value).sum(), len(scores)) for name, scores in groups.items()
            },
            "unseen_words": {
                word: metrics.proportion((scores < value).sum(), len(scores))
                for word, scores in unseen.groupby("label")["score"]
            },
        }

    figures = {"rule": acceptance.RULE, "target_recall": config.target_recall}
    if truth.any():
        figures["stored_threshold"] = at(threshold)
        figures["operating_point"] = at(acceptance.choose_threshold(own[truth], config.target_recall))
    return figures, {"keywords": own[truth], **groups}


def pool(figures: list[dict]) -> dict:
    """Add up the counts of several evaluations, such as those of folds, each at its own thresholds."""
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
    """Lay the figures of `evaluate_split`, or of `pool`, out for the console."""
    lines = []
    for point, title in (
        ("stored_threshold", "stored threshold, chosen on validation"),
        ("operating_point", "threshold that keeps the asked share of these keywords"),
    ):
        if point not in figures:
            continue
        item = figures[point]
        lines.append(f"{title}: {item['threshold']:.3f}" if "threshold" in item else title)
        shown = {
            "keywords kept": item["keywords_kept"],
            "keywords kept and right": item["keywords_kept_and_right"],
            **{f"{name.strip('_')} rejected": value for name, value in item["rejected"].items()},
        }
        lines += [f"  {name:<42} {metrics.format_proportion(value)}" for name, value in shown.items() if value["total"]]
    return "\n".join(lines)


def save_plot(scores: dict[str, np.ndarray], figures: dict, path: Path) -> list[Path]:
    """Draw the keywords kept against the others accepted, with the stored threshold, where there are others.

    Args:
        scores: From `evaluate_split`.
        figures: From `evaluate_split`.
        path: The PNG to write.

    Returns:
        The files written: one or none.
    """
    kept = scores["keywords"]
    curves = {
        name: metrics.roc(np.repeat([True, False], [len(kept), len(others)]), np.concatenate([kept, others]))
        for name, others in scores.items()
        if name != "keywords" and len(kept)
    }
    if not curves:
        return []
    stored = figures["stored_threshold"]
    marks = [(1 - stored["rejected"][name]["share"], stored["keywords_kept"]["share"]) for name in curves]
    title = f"dots: the stored threshold, {stored['threshold']:.3f}"
    plots.save(plots.roc(curves, title, ("share of others accepted", "share of keywords kept"), marks), path)
    return [path]


def _right(labels: tuple[str, ...], targets: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Whether the likeliest keyword of each clip is the true one, shape `(clips,)`."""
    keywords = np.flatnonzero(acceptance.is_keyword(labels))
    return keywords[probabilities[:, keywords].argmax(axis=1)] == targets


def _unseen_clips(model: keras.Model, corpus: data.Corpus) -> pd.DataFrame:
    """Return `label`, `split` and `score` of the recordings of words that training never heard."""
    if corpus.unseen.empty:
        return pd.DataFrame({"label": [], "split": [], "score": []})
    prepared = _prepare(corpus, corpus.unseen, "preparing unseen words")
    rows = prepared.manifest.iloc[prepared.rows]
    return rows[["label", "split"]].assign(score=_scores(model, corpus, prepared))


def _noise_scores(model: keras.Model, corpus: data.Corpus, split: str) -> np.ndarray:
    """Score excerpts of the split's noise, where it is not the class `_silence_` already."""
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
    probabilities = model.predict(data.clip_batches(corpus.config, prepared), verbose=0)
    return acceptance.keyword_scores(probabilities, corpus.config.labels)
