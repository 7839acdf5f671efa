"""Train a keyword spotter, evaluate it on the test split, and leave everything in a run directory.

  python -m kws.train                                             spoken words made on the spot, no download
  python -m kws.train --corpus=folder --data_dir=my_words         your recordings: one folder a word
  python -m kws.train --corpus=speech_commands --data_dir=DIR     Google Speech Commands (--download fetches it)

The same command goes on where an interrupted run stopped.
"""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from common import app, audio, distribution, plots, runs, shards, tensorboard, training
from common import config as configs
from common.corpora import manifest
from kws import data, evaluation
from kws.config import TASK, VARIANTS
from kws.models import build_model, compile_model


def define_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags of this entry point."""
    app.define_training_flags(flag_values)
    app.define_corpus_flags(flag_values)
    configs.define_flags(flag_values, VARIANTS)


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Train as the flags say."""
    app.refuse_arguments(arguments)
    config = configs.from_flags(flags, VARIANTS)
    training.prepare(config)
    corpus = data.load_corpus(config, flags.shards_dir, download=flags.download)
    config = corpus.config

    run = runs.start(flags.run_dir or f"runs/{TASK}/{flags.variant}", config, TASK, flags.variant, flags.resume)
    if run.complete:
        logging.info("%s is complete: another --run_dir trains another, --noresume starts over", run.folder)
        print(evaluation.table(runs.read_metrics(run)))
        return
    splits = {split: data.prepare_split(corpus, split) for split in manifest.SPLITS}
    runs.write_rejected(run, [prepared.rejected for prepared in splits.values()])

    with distribution.strategy(flags.strategy).scope():
        model = fit(run, corpus, splits)
        figures, probabilities = evaluation.evaluate_split(model, corpus, splits["test"], "test")
    pictures = [
        run.folder / "history.png",
        *evaluation.save_plots(figures, probabilities, corpus, splits["test"], run.folder / "test"),
    ]
    plots.save(plots.history(pd.DataFrame(run.history), ("loss", "accuracy"), str(run.folder)), pictures[0])
    tensorboard.write_hyper_parameters(
        run.folder / "tensorboard", configs.to_dict(config), {"test_accuracy": figures["accuracy"]}
    )
    example = save_example(corpus, splits["test"], run.folder / "example.wav")
    runs.finish(run, figures)
    print(evaluation.table(figures))
    print(f"""
plots:      {", ".join(str(path) for path in pictures if path.suffix == ".png")}
dashboard:  tensorboard --logdir {run.folder / "tensorboard"}
predict:    python -m kws.predict --run_dir {run.folder} {example}
export:     python -m kws.export --run_dir {run.folder}""")


def fit(run: runs.Run, corpus: data.Corpus, splits: dict[str, shards.Shards]) -> keras.Model:
    """Build the network and train it; returns it with the weights of its best epoch."""
    config = corpus.config
    steps = data.steps_per_epoch(config, splits["train"])
    model = build_model(config)
    compile_model(model, config, training.build_optimizer(config, steps), training.steps_per_execution(steps))
    logging.info(
        "%s: %s parameters; labels %s; clips: %s",
        config.model,
        f"{model.count_params():,}",
        " ".join(config.labels),
        ", ".join(f"{split} {len(prepared.rows):,}" for split, prepared in splits.items()),
    )
    train = data.build_dataset(corpus, splits["train"], training=True, initial_epoch=run.epoch)
    validation = data.build_dataset(corpus, splits["validation"])
    panels = tensorboard.ClassificationPanels(
        run.folder / "tensorboard",
        validation,
        config.labels,
        config.sample_rate,
        every_epochs=max(1, config.epochs // 5),
    )
    training.fit(run, model, train, validation, steps, monitor="val_accuracy", callbacks=(panels,))
    return model


def save_example(corpus: data.Corpus, prepared: shards.Shards, path: Path) -> Path:
    """Write a clip of the test split into the run directory, to try the model on."""
    waveforms, _ = next(iter(data.build_dataset(corpus, prepared)))
    audio.write(path, np.asarray(waveforms[0]), corpus.config.sample_rate)
    return path


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))
