"""Saying no: the threshold from which an answer counts, and how well it rejects what is no keyword.

The score of a clip is the probability of its likeliest keyword, whatever the other classes say; the clip is accepted
where the score reaches the threshold, else rejected. So one rule serves models with and without the class `_unknown_`
(of a closed set this is the maximum softmax probability; Hendrycks and Gimpel, arXiv:1610.02136).

The threshold is the largest that accepts a share (`keep_keywords`) of the validation split's keywords, rightly named or
not. It is chosen after training and stored in the run directory's `threshold.json`.
"""

import logging
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from common import files
from common.corpora import noise
from common.data import shards
from common.errors import UserError
from common.reporting import metrics, plots
from kws import data
from kws.config import SILENCE, UNKNOWN

FILE = "threshold.json"
NOISE, UNSEEN = "noise", "unseen words"
RULE = "a clip is accepted where the probability of its likeliest keyword is at least the threshold"
_WITHOUT_FILE = 0.7  # what timelines used before thresholds were stored


def is_keyword(labels: tuple[str, ...]) -> np.ndarray:
    """Whether each label is a keyword rather than silence or unknown, shape `(labels,)`."""
    return np.array([label not in (SILENCE, UNKNOWN) for label in labels])


def keyword_scores(probabilities: np.ndarray, labels: tuple[str, ...]) -> np.ndarray:
    """Return the probability of each clip's likeliest keyword, shape `(clips,)`, from `(clips, labels)`."""
    return probabilities[:, is_keyword(labels)].max(axis=1)


def choose_threshold(scores: np.ndarray, keep: float) -> float:
    """Return the largest threshold that accepts at least the share `keep` of scores.

    Args:
        scores: Of keywords, shape `(clips,)`, at least one.
        keep: Share to accept, over 0 and up to 1.

    Example:
        >>> choose_threshold(np.array([0.2, 0.9, 0.8, 0.7]), 0.75)
        0.7
    """
    # A product such as 0.95 * 20 may come out a little over the whole number that it is.
    num_kept = int(np.ceil(keep * len(scores) - 1e-9))
    return float(np.sort(scores)[::-1][max(num_kept, 1) - 1])


def store_threshold(model: keras.Model, corpus: data.Corpus, validation: shards.Shards, run_dir: str | Path) -> float:
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
    probabilities = model.predict(data.build_dataset(corpus, validation), verbose=0)
    targets = data.target_indices(config, validation.manifest["label"].iloc[validation.rows])
    truth = is_keyword(config.labels)[targets]
    scores = keyword_scores(probabilities, config.labels)[truth]
    threshold = choose_threshold(scores, config.keep_keywords)
    stored = {
        "threshold": threshold,
        "rule": RULE,
        "keep_keywords": config.keep_keywords,
        "split": "validation",
        "keywords_kept": rate((scores >= threshold).sum(), len(scores)),
        "keywords_kept_and_right": rate(
            ((scores >= threshold) & _right(config.labels, targets, probabilities)[truth]).sum(), len(scores)
        ),
    }
    files.write_json(Path(run_dir) / FILE, stored)
    return threshold


def load_threshold(run_dir: str | Path) -> float:
    """Read the threshold of a run; an older run without one gets 0.7, and a line says so.

    Raises:
        UserError: The file is damaged.
    """
    path = Path(run_dir) / FILE
    way_out = f"delete it to have {_WITHOUT_FILE:g} taken"
    try:
        threshold = files.read_json(path, way_out)["threshold"]
        if not 0 <= threshold <= 1:
            raise ValueError(f"the threshold is {threshold}")
        return float(threshold)
    except FileNotFoundError:
        logging.info("%s does not exist, so the threshold is %g", path, _WITHOUT_FILE)
        return _WITHOUT_FILE
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise UserError(f"cannot read {path}: {error}; {way_out}") from error


def evaluate_split(
    model: keras.Model,
    corpus: data.Corpus,
    prepared: shards.Shards,
    split: str,
    probabilities: np.ndarray,
    threshold: float,
) -> tuple[dict, dict[str, np.ndarray]]:
    """Measure how many keywords are kept and how much else is rejected.

    Judged are the classes `_unknown_` and `_silence_` of the split; noise that is no class of the model; and words that
    training never heard, once by all speakers and once by those of the split alone.

    Args:
        model: The trained model.
        corpus: From `data.load_corpus`.
        prepared: The split, from `data.prepare_split`.
        split: Its name.
        probabilities: Of the split's clips, from `evaluation.evaluate_split`.
        threshold: From `load_threshold`.

    Returns:
        The figures at the given threshold (`stored_threshold`) and at the one that keeps the share `keep_keywords` of
        this split's own keywords (`operating_point`), and the scores of each group of clips.
    """
    config = corpus.config
    rows = prepared.manifest.iloc[prepared.rows]
    targets = data.target_indices(config, rows["label"])
    right = _right(config.labels, targets, probabilities)
    own = keyword_scores(probabilities, config.labels)
    groups = {label: own[rows["label"] == label] for label in (UNKNOWN, SILENCE) if (rows["label"] == label).any()}
    truth = is_keyword(config.labels)[targets]
    unseen = _unseen_clips(model, corpus)
    if len(unseen):
        groups[f"{UNSEEN}, all speakers"] = unseen["score"].to_numpy()
        of_split = unseen[unseen["split"] == split]
        # The random split is one of recordings: it does not say on which side a speaker is.
        if len(of_split) and config.split_rule != "random":
            groups[f"{UNSEEN}, speakers of {split}"] = of_split["score"].to_numpy()
    noises = _noise_scores(model, corpus, split)
    if len(noises):
        groups[NOISE] = noises

    def at(value: float) -> dict:
        kept = own[truth] >= value
        return {
            "threshold": value,
            "keywords_kept": rate(kept.sum(), len(kept)),
            "keywords_kept_and_right": rate((kept & right[truth]).sum(), len(kept)),
            "rejected": {name: rate((scores < value).sum(), len(scores)) for name, scores in groups.items()},
            "unseen_words": {
                word: rate((scores < value).sum(), len(scores)) for word, scores in unseen.groupby("label")["score"]
            },
        }

    figures = {"rule": RULE, "keep_keywords": config.keep_keywords}
    if truth.any():
        figures["stored_threshold"] = at(threshold)
        figures["operating_point"] = at(choose_threshold(own[truth], config.keep_keywords))
    return figures, {"keywords": own[truth], **groups}


def rate(count: int, total: int) -> dict:
    """Return a share of clips with its count and its 95 % interval (Wilson, clips taken as independent)."""
    count, total = int(count), int(total)
    interval = list(metrics.wilson_interval(count, total)) if total else None
    return {"share": count / total if total else None, "count": count, "total": total, "interval": interval}


def show(value: dict) -> str:
    """Write what `rate` gave on a line."""
    low, high = value["interval"]
    return f"{value['share']:6.1%}  ({low:.1%} to {high:.1%}, {value['count']} of {value['total']})"


def pool(figures: list[dict]) -> dict:
    """Add up the counts of several evaluations, such as those of folds, each at its own thresholds."""
    pooled = {}
    for point in ("stored_threshold", "operating_point"):
        points = [item[point] for item in figures if point in item]
        if points:
            names = {name: None for item in points for name in item["rejected"]}
            pooled[point] = {
                **{
                    name: _sum([item[name] for item in points]) for name in ("keywords_kept", "keywords_kept_and_right")
                },
                "rejected": {
                    name: _sum([item["rejected"][name] for item in points if name in item["rejected"]])
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
        lines += [f"  {name:<42} {show(value)}" for name, value in shown.items() if value["total"]]
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
    keywords = np.flatnonzero(is_keyword(labels))
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
    return keyword_scores(probabilities, corpus.config.labels)


def _sum(rates: list[dict]) -> dict:
    return rate(sum(item["count"] for item in rates), sum(item["total"] for item in rates))
