"""Keyword spotting from one to twenty recordings of each word.

The frozen speech embedding turns every recording, and a few augmented copies of it, into windows once. The heads are
fitted to these windows in seconds, so each can be fitted again without each speaker. What it says about the speakers
that were left out chooses the head and its temperature, and estimates its accuracy. All recordings then fit the head
that is kept.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from common import config as configs
from common import files, progress, runs
from common.config import AUTO
from common.distribution import workers
from common.encoders import classifier, linear_heads
from common.encoders.convolution_head import ConvolutionHead
from common.encoders.speech_embedding import WINDOWS
from common.errors import UserError
from common.files import tables
from common.log import logger
from common.training.options import Options
from kws import data, left_out
from kws.config import CONVOLUTIONS, HEADS, TASK, Config
from kws.models import build_model

# More copies than these do not pay; see RESULTS.md.
_MOST_COPIES, _MOST_CLIPS = 4, 6000
_MANY_PER_WORD = 100
# The best of one recording of each word, which leaves nothing to choose on; see RESULTS.md.
_WITHOUT_CHOICE = "ridge"
# With one recording of each word: the temperatures with the smallest log loss for other speakers of Speech Commands, and
# the threshold that accepts 95 % of their words, about 0.9 divided by the root of the number of classes.
_TEMPERATURES = {"nearest_mean": 23.0, "ridge": 0.22, "lda": 200.0, "logistic": 0.36, CONVOLUTIONS: 0.55}
_THRESHOLD = 0.9
_OUTPUT = "probabilities"


class Head(Protocol):
    """What turns windows into scores; both kinds have these."""

    def fit(self, windows: np.ndarray, targets: np.ndarray) -> list[dict[str, float]]:
        """Fit to windows `(examples, windows, 96)` and class indices, and return the history, empty if there is none."""

    def scores(self, windows: np.ndarray) -> np.ndarray:
        """Return scores `(examples, classes)`."""

    def cool(self, temperature: float) -> None:
        """Divide the scores of the model by a temperature."""


class LinearHead:
    """A linear head on the mean and the maximum of the windows, and the model that it is the last layer of."""

    def __init__(self, name: str, model: keras.Model):
        """Take one of `linear_heads.NAMES`, and a model that pools its windows."""
        self.name, self.model = name, model
        self.linear = None

    def fit(self, windows: np.ndarray, targets: np.ndarray) -> list[dict[str, float]]:
        """Fit to windows `(examples, windows, 96)` and class indices."""
        self.linear = linear_heads.fit(self.name, pool(windows), targets, self.model.output_shape[1])
        return []

    def scores(self, windows: np.ndarray) -> np.ndarray:
        """Return scores `(examples, classes)`."""
        return self.linear.scores(pool(windows))

    def cool(self, temperature: float) -> None:
        """Write the weights into the model, divided by a temperature."""
        self.model.get_layer(_OUTPUT).set_weights(self.linear.weights(temperature))


class LeftOutScores(NamedTuple):
    """What a head says about recordings that it was not fitted to.

    Attributes:
        how: What was left out, from `kws.left_out`; empty if nothing could be, and there are no scores.
        rows: The recording of each score, an index of the table.
        targets: Class indices, shape `(clips,)`.
        scores: Shape `(clips, classes)`.
        temperature: What to divide the scores by.
    """

    how: str
    rows: np.ndarray
    targets: np.ndarray
    scores: np.ndarray
    temperature: float

    @property
    def probabilities(self) -> np.ndarray:
        """Shape `(clips, classes)`."""
        return linear_heads.probabilities(self.scores, self.temperature)

    @property
    def described(self) -> str:
        """What the clips are."""
        return f"the recordings that train: {self.how}" if self.how else "other words, for want of recordings"

    @property
    def threshold(self) -> float | None:
        """The threshold for accepting a word if there is nothing to choose it on, else None."""
        return None if self.how else _THRESHOLD / self.scores.shape[1] ** 0.5

    @property
    def accuracy(self) -> float:
        """Fraction of the clips whose likeliest class is right."""
        return float((self.scores.argmax(axis=1) == self.targets).mean())

    @property
    def cross_entropy(self) -> float:
        """Mean log loss in nats."""
        return linear_heads.cross_entropy(self.scores, self.targets, self.temperature)


class Chosen(NamedTuple):
    """The head that is kept.

    Attributes:
        name: One of `HEADS`.
        head: The head, not yet fitted to all recordings.
        model: The model that it is part of.
        windows: Of the clips and their copies, shape `(1 + copies, clips, windows, 96)`.
        table: One row per clip.
        left_out: What the head says about recordings that it was not fitted to.
        compared: The same of every head that was tried.
    """

    name: str
    head: Head
    model: keras.Model
    windows: np.ndarray
    table: pd.DataFrame
    left_out: LeftOutScores
    compared: dict[str, LeftOutScores]


def check(options: Options) -> None:
    """Refuse what a head that is fitted cannot be combined with.

    Raises:
        UserError: There are several workers, or a data service.
    """
    if workers.num_workers() > 1:
        raise UserError("--head: a head is fitted in seconds, by one process; use --strategy=single")
    if options.data_service:
        raise UserError("--data_service: not for a head that is fitted in seconds; leave it out")


def kept_head(config: Config, folder: str | Path, options: Options) -> str:
    """Return the head that a run in the folder has chosen already, where a configuration leaves it open; else its own."""
    path = Path(folder) / "config.json"
    if config.head != AUTO or not options.resume or not path.exists():
        return config.head
    return configs.load(Config, TASK, path).head


def is_complete(folder: str | Path, options: Options) -> bool:
    """Whether a run directory has a complete run that is to be kept."""
    return options.resume and (Path(folder) / "metrics.json").exists()


def choose(config: Config, split: data.Split, kept: str = AUTO) -> Chosen:
    """Try the heads of a configuration on recordings that are left out, and take the best.

    Args:
        config: The configuration, from `data.load_corpus`.
        split: The recordings, from `data.prepare_split`.
        kept: From `kept_head`: an interrupted run keeps its head, though rounding may make another one the best.

    Raises:
        UserError: No recording of a class can be read.
    """
    names = HEADS if config.head == AUTO else (config.head,)
    models = _models(config, names)
    unread = sorted(set(config.labels) - set(split.table["label"]))
    if unread:
        raise UserError(f'no recording of "{unread[0]}" can be read; replace them, or leave the word out')
    windows = compute_windows(config, split, next(iter(models.values())))
    table = split.table.reset_index(drop=True)
    targets = data.target_indices(config, table["label"])
    plan = left_out.divide(table)
    if not plan.how and config.head == AUTO:
        names = (_WITHOUT_CHOICE,)
    heads, found = {}, {}
    with progress.bar(len(names) * max(1, len(plan.numbers())), "choosing the head", "fit") as meter:
        for name in names:
            model = models[name == CONVOLUTIONS]
            heads[name] = ConvolutionHead(model, config) if name == CONVOLUTIONS else LinearHead(name, model)
            found[name] = _leave_out(name, heads[name], windows, targets, plan, meter.update)
    best = min(names, key=lambda name: (-found[name].accuracy, found[name].cross_entropy)) if plan.how else names[0]
    best = kept if kept in names else best
    for name, one in found.items():
        if one.how:
            logger.info("%s, head %s: %.1f %%, log loss %.3f", one.how, name, 100 * one.accuracy, one.cross_entropy)
    return Chosen(best, heads[best], models[best == CONVOLUTIONS], windows, table, found[best], found)


def _models(config: Config, names: tuple[str, ...]) -> dict[bool, keras.Model]:
    """Build the models that the heads are part of, with and without convolutions, by whether they have them."""
    models = {}
    for convolves in sorted({name == CONVOLUTIONS for name in names}):
        head = CONVOLUTIONS if convolves else linear_heads.NAMES[0]
        models[convolves] = build_model(dataclasses.replace(config, head=head))
        classifier.load_pretrained(models[convolves])
    return models


def compute_windows(config: Config, split: data.Split, model: keras.Model) -> np.ndarray:
    """Compute the windows of recordings and of their augmented copies.

    Args:
        config: The configuration; its augmentation is that of the copies.
        split: The recordings, from `data.prepare_split`.
        model: From `kws.models.build_model`, with the weights of the speech embedding.

    Returns:
        Shape `(1 + copies, clips, windows, 96)` float32; first the recordings themselves.
    """
    number = len(split.shards.rows)
    num_copies = int(np.clip(_MOST_CLIPS // number - 1, 1, _MOST_COPIES))
    logger.info("%s: %d recordings, each with %d augmented copies", WINDOWS, number, num_copies)
    if number > _MANY_PER_WORD * len(config.labels):
        logger.warning("so many recordings train other variants better, such as speech_embedding or default")
    network = keras.Model(model.input, model.get_layer(WINDOWS).output)
    plain, augmented = (tf.function(lambda clips, on=on: network(clips, training=on)) for on in (False, True))
    bank = data.noise_of_training(config, split)
    parts = []
    with progress.bar((1 + num_copies) * number, "computing the speech embedding", "clip") as meter:
        for copy in range(1 + num_copies):
            for clips in data.copies(config, split, copy, bank):
                parts.append(np.asarray((augmented if copy else plain)(clips), np.float32))
                meter.update(len(parts[-1]))
    return np.concatenate(parts).reshape(1 + num_copies, number, *parts[0].shape[1:])


def pool(windows: np.ndarray) -> np.ndarray:
    """Return the maximum and the mean of windows `(examples, windows, 96)`, as the model does: `(examples, 192)`."""
    return np.concatenate([windows.max(axis=1), windows.mean(axis=1)], axis=1)


def _leave_out(
    name: str,
    head: Head,
    windows: np.ndarray,
    targets: np.ndarray,
    plan: left_out.LeftOut,
    tick: Callable[[], object],
) -> LeftOutScores:
    """Fit a head without each fold, and return what it says about the recordings of that fold.

    Without folds it says nothing. Its copies cannot stand in for other recordings: of them it is sure, and far too sure
    of what others say.
    """
    if not plan.how:
        nothing = np.zeros(0, np.int64)
        return LeftOutScores("", nothing, nothing, np.zeros((0, max(targets) + 1)), _TEMPERATURES[name])
    rows, scores = [], []
    for fold in plan.numbers():
        out = plan.folds == fold
        if out.any():
            head.fit(*_flat(windows[:, ~out], targets[~out]))
            rows.append(np.flatnonzero(out))
            scores.append(head.scores(windows[0, out]))
        tick()
    rows, scores = np.concatenate(rows), np.concatenate(scores)
    return LeftOutScores(plan.how, rows, targets[rows], scores, linear_heads.temperature(scores, targets[rows]))


def _flat(windows: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return windows `(copies, clips, windows, 96)` as examples, and their targets."""
    return windows.reshape(-1, *windows.shape[2:]), np.tile(targets, len(windows))


def fit(run: runs.Run, chosen: Chosen) -> keras.Model:
    """Fit the chosen head to all recordings, write `model.keras` and, if there are epochs, `history.csv`.

    Returns:
        The model, with the weights that were written.
    """
    targets = data.target_indices(run.config, chosen.table["label"])
    run.history = chosen.head.fit(*_flat(chosen.windows, targets))
    chosen.head.cool(chosen.left_out.temperature)
    if run.history:
        tables.write(pd.DataFrame(run.history), run.folder / "history.csv")
    with files.atomic_path(run.model_path) as temporary:
        chosen.model.save(temporary)
    runs.load_weights(chosen.model, run.folder)
    return chosen.model
