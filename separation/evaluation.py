"""Evaluate a separator on a split: metrics, tables and plots."""

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from common import files, progress
from common.errors import UserError
from common.files import tables
from common.reporting import metrics as metrics_of_all
from common.reporting import plots
from separation import data, metrics, models, oracle
from separation.config import Config

QUICK = ("sdr", "si_sdr", "usdr")
FULL = (*QUICK, "isr", "sir", "sar")
_TITLES = {"sdr": "SDR", "si_sdr": "SI-SDR", "usdr": "uSDR", "isr": "ISR", "sir": "SIR", "sar": "SAR"}
_NUM_RESAMPLES = 2000
_FEWEST_TRACKS = 5
Estimator = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Metrics(metrics_of_all.Metrics):
    """Metrics of a separator in dB, keyed by stem.

    Attributes:
        sdr: Signal-to-distortion ratio of BSSEval v4, median over tracks.
        si_sdr: Scale-invariant SDR, mean over tracks.
        usdr: SDR of whole tracks, mean over tracks.
    """

    sdr: dict[str, float]
    si_sdr: dict[str, float]
    usdr: dict[str, float]


def evaluate_split(
    model: keras.Model,
    corpus: data.Corpus,
    split: str,
    *,
    train_groups: set[str] | None = None,
    full: bool = False,
    oracles: Iterable[str] = (),
) -> tuple[dict, pd.DataFrame]:
    """Separate every track of a split and compute the metrics.

    Args:
        model: A trained model.
        corpus: From `data.load_corpus`, with the model's configuration.
        split: The split to evaluate.
        train_groups: The singers or tracks of the training split; None if unknown.
        full: Whether to compute ISR, SIR and SAR too, which takes longer than the separation.
        oracles: Estimators of `separation.oracle` to evaluate on the same tracks.

    Returns:
        Metrics, and a table with a row for each track, stem and estimator. The metrics `sdr`, `si_sdr` and `usdr` (with
        `full` also `isr`, `sir` and `sar`) have a value in dB for each stem. `intervals` has the 95 % intervals of
        `sdr` and `si_sdr`, `oracles` the same metrics for each oracle, and `protocol` the way they were computed.
    """
    config = corpus.config
    names = FULL if full and len(config.stems) > 1 else QUICK
    separator = models.for_inference(model, config)
    estimators: dict[str, Estimator] = {"model": lambda mixture, _: separator.separate(mixture).waveforms}
    estimators |= {name: _oracle(name, config) for name in oracles}
    rows = []
    groups = corpus.manifest.drop_duplicates("track").set_index("track")["speaker"]
    num_tracks = data.num_tracks(corpus, split)
    with progress.bar(num_tracks, f"evaluating {split}", "track") as meter:
        for track, mixture, stems in data.read_tracks(corpus, split):
            for estimator, function in estimators.items():
                by_name = track_figures(stems, function(mixture, stems), config.sample_rate, names)
                for index, stem in enumerate(config.stems):
                    values = {name: by_name[name][index] for name in names}
                    singer = groups[track] or track
                    rows.append({"track": track, "group": singer, "stem": stem, "estimator": estimator, **values})
            meter.update()
    if not rows:
        raise UserError(
            f"no track of the split {split} in {config.data_dir or config.corpus} has the stems {', '.join(config.stems)}"
        )
    table = pd.DataFrame(rows)
    figures = summary(table[table["estimator"] == "model"], names)
    figures["oracles"] = {name: summary(table[table["estimator"] == name], names) for name in oracles}
    own = data.groups_of(corpus, split)
    figures["protocol"] = {
        "corpus": config.corpus,
        "split": split,
        "split_rule": config.split_rule,
        "num_tracks": int(table["track"].nunique()),
        "num_tracks_left_out": num_tracks - int(table["track"].nunique()),
        "num_groups": len(own),
        "num_groups_shared_with_training": None if train_groups is None else len(own & train_groups),
        "sample_rate": config.sample_rate,
        "channels": config.num_channels,
        "overlap": config.overlap,
        "wiener_iterations": config.wiener_iterations,
        "sdr": "BSSEval v4: 1 s windows, median over windows, median over tracks",
        "isr, sir, sar": "BSSEval v4, filters of 512 samples over the whole track, medians as for sdr",
        "si_sdr": "whole tracks, mean removed, mean over channels, mean over tracks",
        "usdr": "whole tracks, mean over tracks",
        "interval": "95 %, bootstrap over singers where they are known, else over tracks",
    }
    return figures, table


def _oracle(name: str, config: Config) -> Estimator:
    return lambda mixture, stems: oracle.estimate(name, config, mixture, stems)


def track_figures(
    stems: np.ndarray, estimates: np.ndarray, sample_rate: int, names: Iterable[str]
) -> dict[str, np.ndarray]:
    """Compute the metrics of one track, each of shape `(stems,)`.

    `sdr`, `isr`, `sir` and `sar` are medians over windows of 1 s; `si_sdr` and `usdr` are computed on the whole track.

    Args:
        stems: True stems, shape `(stems, samples, channels)`.
        estimates: Estimated stems, same shape.
        sample_rate: In hertz.
        names: The metrics to compute; see `FULL`.
    """
    whole_track = {
        "si_sdr": metrics.si_sdr(stems, estimates),
        "usdr": metrics.usdr(stems, estimates),
    }
    if "sir" in names:
        ratios = metrics.bss_eval(stems, estimates, sample_rate).median()
        return whole_track | ratios._asdict()
    return whole_track | {"sdr": metrics.frame_median(metrics.sdr(stems, estimates, sample_rate))}


def summary(table: pd.DataFrame, names: Iterable[str]) -> dict:
    """Aggregate over tracks: medians of `sdr`, `isr`, `sir` and `sar`, means of `si_sdr` and `usdr`.

    Args:
        table: The rows of one estimator, from `evaluate_split`.
        names: The metrics.

    Returns:
        For each metric a value by stem, and `intervals`, the 95 % intervals of `sdr` and `si_sdr`.
    """
    by_stem = dict(list(table.groupby("stem", sort=False)))
    figures = {name: {stem: _middle(name)(rows[name]) for stem, rows in by_stem.items()} for name in names}
    figures["intervals"] = {
        name: {stem: bootstrap(rows[name], rows["group"], _middle(name)) for stem, rows in by_stem.items()}
        for name in ("sdr", "si_sdr")
    }
    return figures


def _middle(name: str) -> Callable[[np.ndarray], float]:
    """Return the mean or median that aggregates a metric over tracks; it is NaN if no track has a value."""
    function = np.nanmean if name in ("si_sdr", "usdr") else np.nanmedian
    return lambda values: float(function(values)) if np.isfinite(values).any() else float("nan")


def bootstrap(values: pd.Series, groups: pd.Series, middle: Callable[[np.ndarray], float]) -> list[float]:
    """Return the 95 % bootstrap interval of a mean or median over tracks.

    Resamples whole groups, because tracks of the same singer are correlated.

    Args:
        values: One value per track.
        groups: The group of each track, e.g. the singer.
        middle: The mean or median.
    """
    rng = np.random.default_rng(0)
    members = [group.to_numpy() for _, group in values.groupby(groups)]
    drawn = [
        middle(np.concatenate([members[index] for index in rng.integers(len(members), size=len(members))]))
        for _ in range(_NUM_RESAMPLES)
    ]
    return [float(bound) for bound in np.percentile(drawn, [2.5, 97.5])]


def format_table(figures: dict) -> str:
    """Format the metrics of `evaluate_split` as a table for the console."""
    names = [name for name in FULL if name in figures]
    width = max(20, *(len(name) for name in figures["oracles"])) if figures["oracles"] else 20
    lines = [f"{'stem':<{width}}  " + "  ".join(f"{_TITLES[name]:>7}" for name in names)]

    def row(label: str, values: dict, stem: str) -> str:
        return f"{label:<{width}}  " + "  ".join(_decibels(values[name][stem]) for name in names)

    for stem in figures["sdr"]:
        lines.append(row(stem, figures, stem))
        lines += [row(f"  {name}", values, stem) for name, values in figures["oracles"].items()]
    lines.append("")
    for name in ("sdr", "si_sdr"):
        bounds = ", ".join(
            f"{stem} {_decibels(low).strip()} to {_decibels(high).strip()} dB"
            for stem, (low, high) in figures["intervals"][name].items()
        )
        lines.append(f"{_TITLES[name]}, 95 % interval: {bounds}")
    protocol = figures["protocol"]
    lines.append(f"{protocol['num_tracks']} tracks; dB; SDR: {protocol['sdr']}")
    intervals = [
        f"{stem} {_decibels(low).strip()} to {_decibels(high).strip()} dB"
        for stem, (low, high) in figures["intervals"]["sdr"].items()
    ]
    lines += metrics_of_all.caution(protocol["num_tracks"], "tracks", ", ".join(intervals), fewest=_FEWEST_TRACKS)
    return "\n".join(lines)


def _decibels(value: float | None) -> str:
    """Format a value for the table; an undefined value, e.g. of a silent stem, is a dash."""
    return f"{'–':>7}" if value is None or np.isnan(value) else f"{value:7.2f}"


def save_plots(figures: dict, details: pd.DataFrame, stem: Path) -> list[Path]:
    """Write the table (CSV, the track with the lowest SDR first) and a plot of its SDRs (PNG).

    Args:
        figures: The metrics, from `evaluate_split`.
        details: The table, from `evaluate_split`.
        stem: Common prefix of the paths.

    Returns:
        The files written.
    """
    paths = [files.beside(stem, "_tracks.csv"), files.beside(stem, "_sdr.png")]
    by_track = details[details["estimator"] == "model"].groupby("track")["sdr"].mean()
    order = np.argsort(details["track"].map(by_track).to_numpy(), kind="stable")
    tables.write(details.iloc[order], paths[0], float_format="%.4f")
    plots.save(plots.dots(details, "stem", "estimator", "sdr", "SDR in dB, one dot per track"), paths[1])
    return paths
