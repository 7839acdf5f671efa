"""How a separator is judged: the figures, the tables and the plots of a split."""

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from common import files, progress
from common.files import tables
from common.reporting import metrics as metrics_of_all
from common.reporting import plots
from separation import data, metrics, models, oracle
from separation.config import Config

QUICK = ("sdr", "si_sdr", "usdr")
FULL = (*QUICK, "isr", "sir", "sar")
_TITLES = {"sdr": "SDR", "si_sdr": "SI-SDR", "usdr": "uSDR", "isr": "ISR", "sir": "SIR", "sar": "SAR"}
_NUM_RESAMPLES = 2000
Estimator = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Metrics(metrics_of_all.Metrics):
    """What a separator reaches, in dB by stem.

    Attributes:
        sdr: Signal-to-distortion ratio of BSSEval v4, the median over tracks.
        si_sdr: Scale-invariant SDR, the mean over tracks.
        usdr: SDR of whole tracks, the mean over tracks.
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
    """Separate every track of a split and compute every figure.

    Args:
        model: A trained model.
        corpus: From `data.load_corpus`, with the model's configuration.
        split: Whose tracks.
        train_groups: The singers or tracks that training heard; None if nobody knows.
        full: Whether to compute ISR, SIR and SAR too, which takes longer than separating.
        oracles: Estimators of `separation.oracle` to judge on the same tracks.

    Returns:
        Figures, and a table with a row for each track, stem and estimator. Of the figures `sdr`, `si_sdr` and `usdr`
        (and with `full` `isr`, `sir`, `sar`) hold a value in dB for each stem, `intervals` the 95 % intervals of `sdr` and
        `si_sdr`, `oracles` the same figures for each oracle, and `protocol` how all were computed.
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
                figures = track_figures(stems, function(mixture, stems), config.sample_rate, names)
                for index, stem in enumerate(config.stems):
                    values = {name: figures[name][index] for name in names}
                    singer = groups[track] or track
                    rows.append({"track": track, "group": singer, "stem": stem, "estimator": estimator, **values})
            meter.update()
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
    """Compute the figures of one track, each of shape `(stems,)`: medians over windows of 1 s, or of the whole track.

    Args:
        stems: The true ones, shape `(stems, samples, channels)`.
        estimates: The same shape.
        sample_rate: In hertz.
        names: Which; see `FULL`.
    """
    found = {
        "si_sdr": metrics.si_sdr(stems, estimates),
        "usdr": metrics.usdr(stems, estimates),
    }
    if "sir" in names:
        ratios = metrics.bss_eval(stems, estimates, sample_rate).median()
        return found | ratios._asdict()
    return found | {"sdr": metrics.frame_median(metrics.sdr(stems, estimates, sample_rate))}


def summary(table: pd.DataFrame, names: Iterable[str]) -> dict:
    """Sum up tracks: medians of `sdr`, `isr`, `sir` and `sar`, means of `si_sdr` and `usdr`, with intervals of two.

    Args:
        table: Of one estimator, from `evaluate_split`.
        names: The figures.
    """
    by_stem = dict(list(table.groupby("stem", sort=False)))
    figures = {name: {stem: _middle(name)(rows[name]) for stem, rows in by_stem.items()} for name in names}
    figures["intervals"] = {
        name: {stem: bootstrap(rows[name], rows["group"], _middle(name)) for stem, rows in by_stem.items()}
        for name in ("sdr", "si_sdr")
    }
    return figures


def _middle(name: str) -> Callable[[np.ndarray], float]:
    """Return how a figure is summed up over tracks; NaN where no track has one."""
    function = np.nanmean if name in ("si_sdr", "usdr") else np.nanmedian
    return lambda values: float(function(values)) if np.isfinite(values).any() else float("nan")


def bootstrap(values: pd.Series, groups: pd.Series, middle: Callable[[np.ndarray], float]) -> list[float]:
    """Return the 95 % interval of a mean or median when whole groups are drawn anew: tracks of a singer are alike.

    Args:
        values: One a track.
        groups: Whose track it is.
        middle: The statistic.
    """
    rng = np.random.default_rng(0)
    members = [own.to_numpy() for _, own in values.groupby(groups)]
    drawn = [
        middle(np.concatenate([members[index] for index in rng.integers(len(members), size=len(members))]))
        for _ in range(_NUM_RESAMPLES)
    ]
    return [float(bound) for bound in np.percentile(drawn, [2.5, 97.5])]


def format_table(figures: dict) -> str:
    """Lay the figures of `evaluate_split` out for the console."""
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
    return "\n".join(lines)


def _decibels(value: float | None) -> str:
    """Return a figure for the table; one that nobody can tell, of a stem that is silent, is a dash."""
    return f"{'–':>7}" if value is None or np.isnan(value) else f"{value:7.2f}"


def save_plots(figures: dict, details: pd.DataFrame, stem: Path) -> list[Path]:
    """Write the table (CSV) and a picture of its SDRs (PNG).

    Args:
        figures: From `evaluate_split`.
        details: From `evaluate_split`.
        stem: Path that the names of the files begin with.

    Returns:
        The files written.
    """
    paths = [files.beside(stem, "_tracks.csv"), files.beside(stem, "_sdr.png")]
    tables.write(details, paths[0], float_format="%.4f")
    plots.save(plots.dots(details, "stem", "estimator", "sdr", "SDR in dB, a dot a track"), paths[1])
    return paths
