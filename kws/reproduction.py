"""Reproduction of the six rows of the student report, compared with the published metrics."""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from common import audio, files, runs
from common import config as configs
from common.errors import UserError
from common.log import logger
from common.reporting import metrics, plots
from common.training.options import Options
from kws import data
from kws.config import Config
from kws.published import (
    FIGURES,
    QUICK_EXAMPLES,
    SPLIT_RULES,
    report_config,
    row_config,
    row_name,
    row_title,
)
from kws.training import train_run

SOURCES = {"published": "published", "random": "random split", "official": "disjoint speakers"}
_KEY = ["epochs", "batch_size", "source"]
# The curves of the plot: source, name, and prefix of the column in a run's history.
_CURVES = (
    ("random", "training", ""),
    ("random", "validation", "val_"),
    ("official", "validation, disjoint speakers", "val_"),
)
_QUICK = f"a fifth of the epochs, each of at most {QUICK_EXAMPLES:,} examples"


def run(flags: configs.FlagValues, published: pd.DataFrame, seeds: list[int], folder: Path) -> None:
    """Reproduce rows of the report.

    Args:
        flags: From `kws.reproduce`.
        published: Rows of `PUBLISHED`.
        seeds: Seeds of the weights and of the random split.
        folder: Folder for the runs and the table.
    """
    report = report_config(flags.data_dir)
    manifest = data.load_corpus(report, flags.shards_dir, download=flags.download).manifest
    if flags.quick and len(manifest) > QUICK_EXAMPLES:
        report = dataclasses.replace(report, epoch_examples=QUICK_EXAMPLES)
    described = protocol(report, manifest, seeds, flags.quick)

    planned = [
        (row, split_rule, seed) for row in published.itertuples() for split_rule in SPLIT_RULES for seed in seeds
    ]
    measured, histories = [], []
    for number, (row, split_rule, seed) in enumerate(planned, 1):
        name = row_name(row)
        logger.info("%s, %s, seed %d: %d of %d", name, SOURCES[split_rule], seed, number, len(planned))
        config = row_config(report, row, split_rule, seed, flags.quick)
        options = Options(shards_dir=flags.shards_dir)
        run, _ = train_run(config, folder / f"{name}_{split_rule}_{seed}", "report", options)
        history = runs.read_history(run.folder)
        measured.append(
            {"epochs": row.epochs, "batch_size": row.batch_size, "source": split_rule, "seed": seed}
            | run_figures(runs.read_metrics(run), history)
        )
        histories.append(history.assign(panel=row_title(row), source=split_rule))
        keras.backend.clear_session()

    table = summarize(published, pd.DataFrame(measured))
    text = markdown(table, described)
    with files.atomic_path(folder / "table.csv") as temporary:
        table.to_csv(temporary, index=False)
    files.write_text(folder / "table.md", text)
    files.write_json(
        folder / "report.json", {"protocol": described, "rows": table.to_dict("records"), "runs": measured}
    )
    plots.save(curves(pd.concat(histories), table, described["title"]), folder / "curves.png")
    print(text)
    print("written:", ", ".join(str(folder / name) for name in ("table.md", "table.csv", "report.json", "curves.png")))


def run_figures(figures: dict, history: pd.DataFrame) -> dict[str, float]:
    """Return the metrics of a run that the report publishes (`FIGURES`), and the size of the test split.

    Args:
        figures: The content of `metrics.json`, of a run with `keep_epoch="last"`.
        history: The content of `history.csv`.
    """
    last = history.iloc[-1]
    return {
        "train_loss": float(last["loss"]),
        "train_accuracy": float(last["accuracy"]),
        "validation_loss": float(last["val_loss"]),
        "validation_accuracy": float(last["val_accuracy"]),
        "test_loss": figures["cross_entropy"],
        "test_accuracy": figures["accuracy"],
        "test_clips": figures["num_examples"],
        "test_speakers": figures["protocol"]["num_speakers"],
        "test_speakers_trained_on": figures["protocol"]["num_speakers_shared_with_training"],
    }


def summarize(published: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """Combine the published rows and the means over seeds in one table.

    Args:
        published: Rows of `PUBLISHED`.
        measured: One row per run: `epochs`, `batch_size`, `source`, `seed`, and `run_figures`.

    Returns:
        Three rows per published row, with `source` `published`, `random` and `official`. In addition to the columns of
        both inputs, measured rows have the standard deviation over seeds `<figure>_deviation`, and `test_accuracy_low`
        and `test_accuracy_high`, the 95 % Wilson interval of the mean for the clips of one test split. Unknown values
        are NaN.
    """
    groups = measured.drop(columns="seed").groupby(_KEY, sort=False)
    means = groups.mean()
    deviations = groups[list(FIGURES)].std(ddof=1).add_suffix("_deviation")
    intervals = [
        metrics.wilson_interval(round(row.test_accuracy * row.test_clips), round(row.test_clips))
        for row in means.itertuples()
    ]
    bounds = pd.DataFrame(intervals, means.index, ["test_accuracy_low", "test_accuracy_high"])
    table = pd.concat([published, means.join(bounds).join(deviations).reset_index()])
    order = pd.MultiIndex.from_tuples(
        [(row.epochs, row.batch_size, source) for row in published.itertuples() for source in SOURCES], names=_KEY
    )
    return table.set_index(_KEY).loc[order].reset_index()


def protocol(report: Config, manifest: pd.DataFrame, seeds: list[int], quick: bool) -> dict[str, str]:
    """Describe how the metrics are measured, and the differences from the report."""
    num_full = sum(_lasts(path, report.clip_seconds) for path in manifest["path"])
    return {
        "title": f"{len(manifest):,} clips" + (f", quick: {_QUICK}" if quick else ""),
        "corpus": f"{len(manifest):,} clips of the ten words by {manifest['speaker'].nunique():,} speakers, "
        f"{num_full:,} of them at least {report.clip_seconds:g} s long; shorter clips are padded. The report: 21,312"
        " clips of the first release, apparently those of a full second",
        "epochs": _QUICK if quick else "as in the report; the last incomplete batch of an epoch is dropped",
        "rows": "rows with the same batch size, split and seed train identically up to the end of the shorter one",
        "training": "loss and accuracy of the last epoch as Keras reports them: mean over its batches, with dropout",
        "validation and test": "the network after the last epoch, as in the report, not after the best epoch",
        "random split": "81 / 9 / 10 % of the clips, from the seed; the report's split is unknown",
        "speakers apart": "the official lists, or without them 80 / 10 / 10 % by the hash of the speaker",
        "learning rate": f"Adam at {report.learning_rate:g}; the report does not state one",
        "seeds": ", ".join(map(str, seeds)) + (": mean ± standard deviation" if len(seeds) > 1 else ""),
        "interval": "95 %, Wilson, assuming independent clips"
        + ("; of the mean, for the clips of one test split" if len(seeds) > 1 else ""),
    }


def _lasts(path: Path, seconds: float) -> bool:
    try:
        return audio.info(path).duration_seconds >= seconds
    except UserError:
        return False  # training reports it as rejected, with the reason


def markdown(table: pd.DataFrame, described: dict) -> str:
    """Format the table of `summarize` and the protocol as Markdown."""
    lines = [
        f"{described['title']}. Loss, accuracy in %:\n",
        "| epochs × batch | | training | validation | test | 95 % interval | test clips | test speakers in training |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in table.to_dict("records"):
        cells = [
            f"{row['epochs']} × {row['batch_size']}" if row["source"] == "published" else "",
            SOURCES[row["source"]],
        ]
        cells += [
            f"{_show(row, f'{part}_loss', 4, 1)}, {_show(row, f'{part}_accuracy', 2, 100)}"
            for part in ("train", "validation", "test")
        ]
        if row["source"] == "published":
            cells += ["", "", ""]
        else:
            cells += [
                f"{100 * row['test_accuracy_low']:.1f} to {100 * row['test_accuracy_high']:.1f}",
                f"{row['test_clips']:,.0f}",
                f"{row['test_speakers_trained_on']:.0f} of {row['test_speakers']:.0f}",
            ]
        lines.append(f"| {' | '.join(cells)} |")
    lines.append("")
    lines += [f"- {name}: {text}" for name, text in described.items() if name != "title"]
    return "\n".join(lines) + "\n"


def _show(row: dict, figure: str, digits: int, scale: float) -> str:
    deviation = row[f"{figure}_deviation"]
    text = f"{scale * row[figure]:.{digits}f}"
    return text if np.isnan(deviation) else f"{text} ± {scale * deviation:.{digits}f}"


def curves(histories: pd.DataFrame, table: pd.DataFrame, title: str) -> plots.Figure:
    """Plot loss and accuracy of every row, with the published metrics as crosses.

    Args:
        histories: The histories of all runs, with `panel` and `source`; several seeds are averaged.
        table: From `summarize`.
        title: Title of the plot.
    """
    table = table.assign(panel=[row_title(row) for row in table.itertuples()], epoch=table["epochs"])
    published, random = table[table["source"] == "published"], table[table["source"] == "random"]
    means = histories.groupby(["panel", "source", "epoch"], sort=False).mean(numeric_only=True).reset_index()
    # With --quick the rows have fewer epochs than their titles say.
    tested = random.assign(epoch=random["panel"].map(means.groupby("panel")["epoch"].max()))
    points, crosses = [], []
    for quantity in ("loss", "accuracy"):
        for source, curve, prefix in _CURVES:
            rows = means[means["source"] == source]
            points.append(rows.assign(quantity=quantity, curve=curve, value=rows[f"{prefix}{quantity}"]))
        points.append(tested.assign(quantity=quantity, curve="test", value=tested[f"test_{quantity}"]))
        for curve, part in (("training", "train"), ("validation", "validation"), ("test", "test")):
            crosses.append(published.assign(quantity=quantity, curve=curve, value=published[f"{part}_{quantity}"]))
    columns = ["panel", "quantity", "curve", "epoch", "value"]
    return plots.grid(pd.concat(points)[columns], pd.concat(crosses)[columns], "published", title)
