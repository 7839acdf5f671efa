"""Comparison of all encoders: trains, exports and times each, and writes a table."""

from collections.abc import Mapping
from pathlib import Path

import keras
import pandas as pd

from common import config as configs
from common import files, runs
from common.export import litert
from common.log import logger
from common.training.options import Options
from kws import data
from kws.config import Config
from kws.exporting import export_run
from kws.models import load_model
from kws.training import train_run

_ROUNDS = 100


def run(planned: Mapping[str, Config], folder: Path, flags: configs.FlagValues) -> None:
    """Compare variants.

    Args:
        planned: The configuration of each variant.
        folder: Folder for the runs and the table.
        flags: From `kws.compare`.
    """
    rows = []
    for number, (name, config) in enumerate(planned.items(), 1):
        logger.info("%s, %d of %d", name, number, len(planned))
        rows.append(train_row(name, config, folder / name, flags.shards_dir, flags.download))
        keras.backend.clear_session()
    seconds = time_clips({name: folder / name / "export" for name in planned})
    table = pd.DataFrame(rows)
    table.insert(table.columns.get_loc("train_seconds"), "ms_per_clip", [1000 * seconds[name] for name in planned])
    text = markdown(table)
    with files.atomic_path(folder / "table.csv") as temporary:
        table.to_csv(temporary, index=False)
    files.write_text(folder / "table.md", text)
    print(text)
    print(f"written: {folder / 'table.csv'}, {folder / 'table.md'}")


def time_clips(exports: Mapping[str, Path]) -> dict[str, float]:
    """Return the seconds for one clip of each variant, given the folder of its export.

    A LiteRT file as front end is a file of its own, which runs once for each window of the clip.
    """
    times = {}
    for name, folder in exports.items():
        times[name, litert.FILE] = 1
        front_end = files.read_json(folder / "report.json", "export again").get("embedding")
        if front_end:
            times[name, front_end["file"]] = len(front_end["window_starts"])
    seconds = litert.time_files({key: exports[key[0]] / key[1] for key in times}, _ROUNDS)
    return {name: sum(seconds[key] * times[key] for key in times if key[0] == name) for name in exports}


def train_row(name: str, config: Config, run_dir: Path, shards_dir: str, download: bool) -> dict:
    """Train and export one variant, skipping steps that are done already.

    Returns:
        Its row of the table, without the inference time.
    """
    run, trained = train_run(config, run_dir, name, Options(shards_dir=shards_dir, download=download))
    report_path = run_dir / "export" / "report.json"
    if trained or not report_path.exists():
        report = export_run(run_dir, shards_dir=shards_dir)
    else:
        report = files.read_json(report_path, "delete it to export again")
    values = runs.read_metrics(run)
    config, model = load_model(run_dir)
    history = runs.read_history(run_dir)
    split = data.prepare_split(data.load_corpus(config, shards_dir), "train")
    examples = data.steps_per_epoch(config, split) * config.batch_size
    low, high = values["accuracy_interval"]
    return {
        "variant": name,
        "network": _network(config),
        "accuracy": values["accuracy"],
        "accuracy_low": low,
        "accuracy_high": high,
        "test_clips": values["num_examples"],
        "parameters": model.count_params(),
        "litert_bytes": report["litert"]["bytes"] + report.get("embedding", {}).get("bytes", 0),
        "train_seconds": (examples / history["examples_per_second"]).sum(),
        "examples_per_second": history["examples_per_second"].median(),
        "epochs": len(history),
        "saved_model_difference": report["saved_model"]["max_difference"],
        "litert_difference": report["litert"]["max_difference"],
    }


def _network(config: Config) -> str:
    """Return the name of the encoder; for an embedding, its source."""
    if config.model != "embedding":
        return config.model
    return f"{Path(config.embedding).name}, {'fine-tuned' if config.fine_tune else 'frozen'}"


def markdown(table: pd.DataFrame) -> str:
    """Format the table as Markdown, most accurate variant first."""
    lines = [
        "| variant | network | accuracy | 95 % interval | parameters | LiteRT size | time per clip | training time "
        "| training speed | epochs | SavedModel difference | LiteRT difference |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in table.sort_values("accuracy", ascending=False, kind="stable").itertuples():
        cells = (
            row.variant,
            row.network,
            f"{row.accuracy:.1%}",
            f"{100 * row.accuracy_low:.1f} to {row.accuracy_high:.1%}",
            f"{row.parameters:,}",
            f"{row.litert_bytes / 1000:,.0f} kB",
            f"{row.ms_per_clip:.2f} ms",
            f"{row.train_seconds:,.0f} s",
            f"{row.examples_per_second:,.0f}/s",
            str(row.epochs),
            f"{row.saved_model_difference:.0e}",
            f"{row.litert_difference:.0e}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    clips = ", ".join(f"{count:,}" for count in sorted(set(table["test_clips"])))
    lines.append(f"\nTest clips: {clips}. Differences: largest difference from the probabilities of the Keras model.")
    return "\n".join(lines) + "\n"
