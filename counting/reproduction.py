"""Reproduction of the networks of the student report, compared with the published metrics."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from common import config as configs
from common import files, runs
from common.log import logger
from common.reporting import drawing, plots
from common.training.options import Options
from counting import data, evaluation, inference
from counting.config import Config
from counting.models import load_model
from counting.published import NETWORK_VARIANTS, PUBLISHED
from counting.training import train_run

_TITLES = {"m34_res": "M34-res", **{f"cnn_2d_{n}": f"2-D, {n} block{'s' * (n > 1)}" for n in (1, 2, 4)}}
_NUM_CUTS = 32


def run(planned: Mapping[str, Config], folder: Path, flags: configs.FlagValues) -> None:
    """Reproduce networks of the report.

    Args:
        planned: The configuration of each network.
        folder: Folder for the runs and the table.
        flags: From `counting.reproduce`.
    """
    measured, histories = {}, {}
    for number, (network, config) in enumerate(planned.items(), 1):
        logger.info("%s: %d of %d", title(network), number, len(planned))
        options = Options(shards_dir=flags.shards_dir, download=flags.download)
        run, _ = train_run(config, folder / network, NETWORK_VARIANTS[network], options)
        histories[network] = runs.read_history(run.folder)
        measured[network] = run_figures(run, histories[network], flags.shards_dir)
        keras.backend.clear_session()

    table = summarize(pd.DataFrame(measured).T, list(planned))
    described = protocol(config, flags.quick)
    text = markdown(table, described)
    with files.atomic_path(folder / "table.csv") as temporary:
        table.to_csv(temporary)
    files.write_text(folder / "table.md", text)
    files.write_json(folder / "report.json", {"protocol": described, "rows": table.reset_index().to_dict("records")})
    best = best_of_each_kind(measured)
    plots.save(curves({name: histories[name] for name in best}), folder / "curves.png")
    plots.save(cuts(folder / best[0], flags.shards_dir), folder / "cuts.png")
    print(text)
    names = ("table.md", "table.csv", "report.json", "curves.png", "cuts.png")
    print("written:", ", ".join(str(folder / name) for name in names))


def title(network: str) -> str:
    """Return the display name of a network.

    Example:
        >>> title("m5"), title("cnn_2d_2")
        ('M5', '2-D, 2 blocks')
    """
    return _TITLES.get(network, network.upper())


def run_figures(run: runs.Run, history: pd.DataFrame, shards_dir: str | Path) -> dict[str, float]:
    """Return the metrics of a run that the report publishes, and those on unseen speakers.

    `val_loss` and `val_accuracy` are for other excerpts of the training speakers, like the report's validation.
    """
    config, model = load_model(run.folder)
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    corpus = data.load_corpus(config, shards_dir)
    as_evaluated = dataclasses.replace(corpus, config=data.as_evaluated(config))
    train = data.prepare_split(corpus, "train")
    shared = evaluation.evaluate_split(model, as_evaluated, train, num_examples=config.validation_mixtures)[0]
    test = runs.read_metrics(run)
    examples = config.batch_size * data.steps_per_epoch(config, train)
    return {
        "parameters": trainable,
        "loss": float(history["loss"].iloc[-1]),
        "accuracy": float(history["accuracy"].iloc[-1]),
        "largest_accuracy": float(history["accuracy"].max()),
        "val_loss": shared["cross_entropy"],
        "val_accuracy": shared["accuracy"],
        "test_loss": test["cross_entropy"],
        "test_accuracy": test["accuracy"],
        "test_low": test["accuracy_interval"][0],
        "test_high": test["accuracy_interval"][1],
        "minutes": float((examples / history["examples_per_second"]).sum() / 60),
    }


def summarize(measured: pd.DataFrame, networks: Sequence[str]) -> pd.DataFrame:
    """Join the published and the measured metrics of each network; published columns start with `published_`."""
    table = PUBLISHED.loc[list(networks)].add_prefix("published_").join(measured)
    table.index.name = "network"
    return table


def best_of_each_kind(measured: dict[str, dict[str, float]]) -> list[str]:
    """Return the network with the largest test accuracy, and the best of the other kind (waveform or spectrogram)."""
    ranked = sorted(measured, key=lambda name: measured[name]["test_accuracy"], reverse=True)
    others = [name for name in ranked if name.startswith("cnn_2d") != ranked[0].startswith("cnn_2d")]
    return [ranked[0], *others[:1]]


def protocol(config: Config, quick: bool) -> dict[str, str]:
    """Describe how the metrics are measured, and the differences from the report."""
    return {
        "training": f"{config.epochs} epochs of {config.epoch_examples:,} mixtures{' (quick)' if quick else ''}, new in"
        " each epoch (the report: 10 epochs of the same 100,000); loss and accuracy of the last epoch",
        "same speakers": f"{config.validation_mixtures:,} other mixtures of the training recordings, as in the report's"
        " validation",
        "other speakers": f"{config.test_mixtures:,} mixtures of speakers not in training; 95 % Wilson interval,"
        " assuming independent mixtures",
        "minutes": "training time on this machine, without validation; the report used a Colab GPU",
        "spectrogram networks": "the training accuracy is the largest of all epochs, as in the report",
        "seed": str(config.seed),
    }


def markdown(table: pd.DataFrame, described: dict[str, str]) -> str:
    """Format the table of `summarize` and the protocol as Markdown."""
    lines = [
        "Loss, accuracy in %:\n",
        "| network | | parameters | training | same speakers | other speakers | 95 % interval | minutes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for network, row in table.iterrows():
        lines.append(
            f"| {title(network)} | published | {_number(row['published_parameters'])}"
            f" | {_pair(row['published_loss'], row['published_accuracy'])}"
            f" | {_pair(row['published_val_loss'], row['published_val_accuracy'])} | | |"
            f" {_plain(row['published_minutes'])} |"
        )
        of_training = "largest_accuracy" if network.startswith("cnn_2d") else "accuracy"
        lines.append(
            f"| | reproduced | {_number(row['parameters'])} | {_pair(row['loss'], row[of_training])}"
            f" | {_pair(row['val_loss'], row['val_accuracy'])} | {_pair(row['test_loss'], row['test_accuracy'])}"
            f" | {100 * row['test_low']:.1f} to {100 * row['test_high']:.1f} | {_plain(row['minutes'])} |"
        )
    lines.append("")
    lines += [f"- {name}: {text}" for name, text in described.items()]
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:,.0f}"


def _pair(loss: float, accuracy: float) -> str:
    return "–" if np.isnan(loss) else f"{loss:.3f}, {100 * accuracy:.2f}"


def _plain(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.1f}"


def curves(histories: dict[str, pd.DataFrame]) -> plots.Figure:
    """Plot loss and accuracy of the best waveform network and the best spectrogram network over the epochs."""
    points = [
        {"panel": quantity, "curve": f"{title(network)}, {part}", "x": row["epoch"], "y": row[f"{prefix}{quantity}"]}
        for network, history in histories.items()
        for quantity in ("loss", "accuracy")
        for part, prefix in (("training", ""), ("other speakers", "val_"))
        for row in history.to_dict("records")
    ]
    return plots.panels(pd.DataFrame(points), "epoch")


def cuts(run_dir: Path, shards_dir: str | Path) -> plots.Figure:
    """Plot mixtures of the test speakers with their true and predicted counts."""
    config, model = load_model(run_dir)
    split = data.prepare_split(data.load_corpus(config, shards_dir), "test")
    waveforms = np.concatenate(
        [batch for batch, _ in data.build_dataset(data.as_evaluated(config), split, num_examples=_NUM_CUTS)]
    )
    truth = data.evaluated_truth(data.as_evaluated(config), split, _NUM_CUTS).sum(axis=1)
    predicted = inference.decide(model.predict(waveforms, verbose=0), config.counts, config.known_sexes)["count"]
    titles = [f"true {true}, predicted {count}" for true, count in zip(truth, predicted, strict=True)]
    right = int((truth == predicted).sum())
    return draw_waveforms(
        waveforms,
        titles,
        truth == predicted,
        f"{title(run_dir.name)}: {right} of {_NUM_CUTS} correct, unseen speakers",
    )


@drawing.guarded
def draw_waveforms(clips: np.ndarray, titles: Sequence[str], right: np.ndarray, title: str = "") -> plots.Figure:
    """Plot a grid of waveforms, eight per row, with wrong predictions in red.

    Args:
        clips: Shape `(clips, samples)`.
        titles: Title of each clip.
        right: Whether the prediction for each clip is correct, shape `(clips,)`.
        title: Title of the figure.
    """
    num_rows = -(-len(clips) // 8)
    figure = plots.Figure(figsize=(14, 1.3 * num_rows + 0.5), layout="constrained")
    panels = figure.subplots(num_rows, 8, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, clip, name, good in zip(panels, clips, titles, right, strict=False):
        axes.plot(clip, linewidth=0.4, color="C0" if good else "C3")
        axes.set_title(name, fontsize=8, color="black" if good else "C3")
    figure.suptitle(title)
    return figure
