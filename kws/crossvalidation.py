"""Cross-validation: trains and tests a variant on every fold, and pools the results."""

import dataclasses
import gc
from pathlib import Path

import numpy as np
import pandas as pd

from common import config as configs
from common import files, runs
from common.distribution import strategy, workers
from common.errors import UserError
from common.log import logger
from common.reporting import metrics
from common.training.options import Options
from kws import operating_points, rejection
from kws.config import Config
from kws.training import train_run


def run(config: Config, folder: Path, flags: configs.FlagValues) -> None:
    """Train and test every fold.

    Args:
        config: The configuration; its fold is ignored.
        folder: Folder for the runs.
        flags: From `kws.crossvalidate`.
    """
    figures = []
    with strategy.scope(flags.strategy):
        folder = workers.run_folder(folder)
        for fold in range(config.num_folds):
            run, _ = train_run(
                dataclasses.replace(config, fold=fold),
                folder / f"fold_{fold}",
                flags.variant,
                Options(shards_dir=flags.shards_dir, download=flags.download),
            )
            figures.append(runs.read_metrics(run))
            # `keras.backend.clear_session` would end the scope of the strategy.
            gc.collect()
    rows, summary = summarize(figures)
    with files.atomic_path(folder / "folds.csv") as temporary:
        rows.to_csv(temporary, index=False)
    files.write_json(folder / "folds.json", {"config": configs.to_dict(config), **summary})
    print(table(rows, summary))
    written = [folder / "folds.csv", folder / "folds.json"]
    try:
        calibration = operating_points.of_folds(folder, config.target_recall)
    except UserError as error:
        logger.info("no threshold over the folds: %s", error)
    else:
        print(operating_points.format_line(calibration))
        written.append(operating_points.store(folder, calibration))
    print(f"\nwritten: {', '.join(map(str, written))}")


def summarize(figures: list[dict]) -> tuple[pd.DataFrame, dict]:
    """Summarize the metrics of the folds.

    Args:
        figures: The content of `metrics.json` of each fold.

    Returns:
        A table with one row per fold (accuracy with its interval, clips, and the rejection rates of
        `rejection.evaluate_split` at the operating point), and a summary: `accuracy` over all clips of all folds as in
        `metrics.proportion`, mean `accuracy_mean` and standard deviation `accuracy_deviation` over the folds, and the
        pooled `rejection`, with each fold at its own thresholds.
    """
    rows = []
    for fold, item in enumerate(figures):
        point = item["rejection"]["operating_point"]
        low, high = item["accuracy_interval"]
        rows.append(
            {
                "fold": fold,
                "clips": item["num_examples"],
                "speakers": item["protocol"]["num_speakers"],
                "accuracy": item["accuracy"],
                "accuracy_low": low,
                "accuracy_high": high,
                "threshold": item["rejection"]["stored_threshold"]["threshold"],
                "keywords_kept": item["rejection"]["stored_threshold"]["keywords_kept"]["share"],
                **{f"{name} rejected": value["share"] for name, value in point["rejected"].items()},
            }
        )
    accuracies = [item["accuracy"] for item in figures]
    summary = {
        "accuracy": metrics.proportion(
            sum(round(item["accuracy"] * item["num_examples"]) for item in figures),
            sum(item["num_examples"] for item in figures),
        ),
        "accuracy_mean": float(np.mean(accuracies)),
        "accuracy_deviation": float(np.std(accuracies, ddof=1)),
        "rejection": rejection.pool([item["rejection"] for item in figures]),
        "folds": figures,
    }
    return pd.DataFrame(rows), summary


def table(rows: pd.DataFrame, summary: dict) -> str:
    """Format the folds and their summary for the console."""
    lines = ["fold  clips  speakers  accuracy       95 % interval  threshold  keywords accepted"]
    for row in rows.to_dict("records"):
        interval = f"{row['accuracy_low']:.1%} to {row['accuracy_high']:.1%}"
        lines.append(
            f"{row['fold']:4d}  {row['clips']:5d}  {row['speakers']:8d}  {row['accuracy']:8.2%}  {interval:>18}"
            f"  {row['threshold']:9.3f}  {row['keywords_kept']:17.1%}"
        )
    lines += [
        f"all folds: accuracy {metrics.format_proportion(summary['accuracy'])};"
        f" mean ± standard deviation over folds {summary['accuracy_mean']:.2%} ± {summary['accuracy_deviation']:.2%}",
        rejection.format_table(summary["rejection"]),
    ]
    return "\n".join(lines)
