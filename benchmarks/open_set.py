"""Compare scores that tell keywords from everything else, on the folds of `kws.crossvalidate`; `python -m benchmarks.open_set`.

Each fold was trained with --unknown, without the words of its `unseen_words`. A score is high for a keyword. For each
score, the threshold accepts 95 % of the keywords of the fold; the table has the fractions of other clips that it
rejects, and the area under the ROC curve, pooled over the folds. What a score is fitted to is the training split, as it
is, without augmentation.

The scores:

- `keyword probability`: that of the likeliest keyword, which is the rule of `kws.acceptance`;
- `probability of the likeliest label`, 0 unless it is a keyword (Hendrycks and Gimpel, arXiv:1610.02136);
- `logit`: the largest one of the keywords, and `margin`: the same without the largest other one;
- `energy`: log of the sum of the exponentials of the logits of the keywords (Liu et al., arXiv:2010.03759);
- `Mahalanobis`: distance of the embedding to the nearest mean of a keyword, in the covariance that all classes share
  (Lee et al., arXiv:1807.03888);
- `cosine`: similarity of the embedding to the nearest mean of a keyword;
- `nearest neighbour`: distance to the tenth nearest clip of training that is a keyword, of normalised embeddings (Sun
  et al., arXiv:2204.06507);
- sums of the logarithm of the keyword probability and a distance, each in standard deviations over the training
  keywords.

The table is also written to open_set.csv beside the folds.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from common import startup

startup.load_tensorflow()  # before anything imports it with its notes

import keras
import numpy as np
import pandas as pd
from absl import flags
from sklearn.metrics import roc_auc_score

from common import batches, files
from common.cli import app
from common.config import FlagValues
from common.data import shards
from common.encoders import classifier
from common.errors import UserError
from kws import acceptance, data
from kws.config import SILENCE, UNKNOWN
from kws.models import load_model

_KEPT = 0.95
_NEIGHBOURS = 10
_UNSEEN = "unseen words"


class Outputs(NamedTuple):
    """Outputs for some clips: embeddings `(clips, size)`, logits `(clips, labels)`, and true labels `(clips,)`."""

    embeddings: np.ndarray
    logits: np.ndarray
    labels: np.ndarray

    @property
    def log_probabilities(self) -> np.ndarray:
        """Shape `(clips, labels)`."""
        return self.logits - _logsumexp(self.logits)[:, np.newaxis]


def define_flags(flag_values: FlagValues) -> None:
    """Define the flags of `python -m benchmarks.open_set`."""
    flags.DEFINE_string("folds", None, "output folder of kws.crossvalidate --unknown", flag_values=flag_values)
    flags.DEFINE_string("shards_dir", "data/shards", "folder of decoded recordings", flag_values=flag_values)


def main(flag_values: FlagValues, arguments: Sequence[str]) -> None:
    """Measure, print one table and write it."""
    app.refuse_arguments(arguments)
    folders = sorted(Path(flag_values.folds or "").glob("fold_*"))
    if not flag_values.folds or not folders:
        raise UserError("--folds: expected the output folder of kws.crossvalidate --unknown")
    rows = pd.concat([_fold(folder, flag_values.shards_dir) for folder in folders], ignore_index=True)
    table = summarize(rows)
    print(table.to_string(index=False))
    path = Path(flag_values.folds) / "open_set.csv"
    with files.atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)
    print(f"\nwritten: {path}")


def summarize(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row per score: the fractions of each group that are rejected, and the area under the ROC curve.

    Args:
        rows: `fold`, `score`, `group` (keyword, or of other clips) and `value` of each clip.
    """
    table = []
    for name, of_score in rows.groupby("score", sort=False):
        rejected = {group: [] for group in of_score["group"].unique() if group != "keyword"}
        areas = []
        for _, fold in of_score.groupby("fold"):
            keywords = fold.loc[fold["group"] == "keyword", "value"].to_numpy()
            threshold = acceptance.choose_threshold(keywords, _KEPT)
            for group, values in rejected.items():
                values.extend(fold.loc[fold["group"] == group, "value"] < threshold)
            areas.append(roc_auc_score(fold["group"] == "keyword", fold["value"]))
        table.append(
            {
                "score": name,
                **{f"{group} rejected": f"{np.mean(values):.1%}" for group, values in rejected.items()},
                "AUC": f"{np.mean(areas):.4f}",
            }
        )
    return pd.DataFrame(table)


def _fold(folder: Path, shards_dir: str) -> pd.DataFrame:
    """Return the scores of one fold."""
    config, model = load_model(folder)
    corpus = data.load_corpus(config, shards_dir, trained=True)
    outputs = _outputs_of(model)

    def compute(prepared: shards.Shards, labels: Sequence[str]) -> Outputs:
        embeddings, logits = outputs(data.clip_batches(config, prepared))
        return Outputs(embeddings, logits, np.asarray(labels, str))

    training, test = (data.prepare_split(corpus, name) for name in ("train", "test"))
    fitted = compute(training.shards, training.table["label"])
    clips = {"": compute(test.shards, test.table["label"])}
    if len(corpus.unseen):
        unseen = shards.prepare(
            corpus.unseen, shards_dir, config.sample_rate, clip_seconds=config.clip_seconds, description="unseen words"
        )
        clips[_UNSEEN] = compute(unseen, [_UNSEEN] * len(unseen.rows))
    rows = []
    for name, score in scores(fitted, config.labels).items():
        for found in clips.values():
            groups = [label if label in (SILENCE, UNKNOWN, _UNSEEN) else "keyword" for label in found.labels]
            rows.append(pd.DataFrame({"fold": folder.name, "score": name, "group": groups, "value": score(found)}))
    return pd.concat(rows)


def _outputs_of(model: keras.Model) -> Callable:
    """Return a function from batches of clips to their embeddings and logits."""
    dense = next(layer for layer in reversed(model.layers) if isinstance(layer, keras.layers.Dense))
    kernel, bias = dense.get_weights()
    network = keras.Model(model.input, model.get_layer(classifier.ENCODED).output)

    def compute(clips) -> tuple[np.ndarray, np.ndarray]:
        embeddings = batches.predict(network, clips, "computing embeddings").astype(np.float64)
        return embeddings, embeddings @ kernel + bias

    return compute


def scores(training: Outputs, labels: tuple[str, ...]) -> dict[str, Callable[[Outputs], np.ndarray]]:
    """Return the scores by name, each a function from outputs to values `(clips,)`, fitted to the training split."""
    keywords = acceptance.is_keyword(labels)
    named = [label for label, is_keyword in zip(labels, keywords, strict=True) if is_keyword]
    means = np.stack([training.embeddings[training.labels == label].mean(axis=0) for label in labels])
    centred = training.embeddings - means[[labels.index(label) for label in training.labels]]
    covariance = np.cov(centred.T)
    # Embeddings after a ReLU have features that never vary.
    precision = np.linalg.inv(covariance + 1e-3 * np.trace(covariance) / len(covariance) * np.eye(len(covariance)))
    spoken = np.isin(training.labels, named)
    keyword_clips = Outputs(training.embeddings[spoken], training.logits[spoken], training.labels[spoken])
    neighbours = _normalized(keyword_clips.embeddings)

    def probability(found: Outputs) -> np.ndarray:
        return found.log_probabilities[:, keywords].max(axis=1)

    def mahalanobis(found: Outputs) -> np.ndarray:
        apart = found.embeddings[:, np.newaxis] - means[keywords]
        return -np.einsum("cki,ij,ckj->ck", apart, precision, apart).min(axis=1)

    def cosine(found: Outputs) -> np.ndarray:
        return (_normalized(found.embeddings) @ _normalized(means[keywords]).T).max(axis=1)

    def nearest(found: Outputs) -> np.ndarray:
        similarity = np.sort(_normalized(found.embeddings) @ neighbours.T, axis=1)
        return similarity[:, -_NEIGHBOURS]

    def likeliest(found: Outputs) -> np.ndarray:
        best = found.logits.argmax(axis=1)
        return np.where(keywords[best], np.exp(found.log_probabilities.max(axis=1)), 0)

    def margin(found: Outputs) -> np.ndarray:
        others = found.logits[:, ~keywords]
        return found.logits[:, keywords].max(axis=1) - (others.max(axis=1) if others.size else 0)

    def energy(found: Outputs) -> np.ndarray:
        return _logsumexp(found.logits[:, keywords])

    def total(one: Callable, other: Callable) -> Callable[[Outputs], np.ndarray]:
        spreads = [one(keyword_clips).std(), other(keyword_clips).std()]
        return lambda found: one(found) / spreads[0] + other(found) / spreads[1]

    return {
        "keyword probability": probability,
        "probability of the likeliest label": likeliest,
        "logit": lambda found: found.logits[:, keywords].max(axis=1),
        "margin": margin,
        "energy": energy,
        "Mahalanobis": mahalanobis,
        "cosine": cosine,
        "nearest neighbour": nearest,
        "keyword probability and Mahalanobis": total(probability, mahalanobis),
        "keyword probability and cosine": total(probability, cosine),
        "margin and cosine": total(margin, cosine),
        "margin and nearest neighbour": total(margin, nearest),
    }


def _normalized(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def _logsumexp(logits: np.ndarray) -> np.ndarray:
    highest = logits.max(axis=1)
    return highest + np.log(np.exp(logits - highest[:, np.newaxis]).sum(axis=1))


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))
