"""Train separators on folds of a corpus, and compare them track by track on unseen singers.

  python -m benchmarks.separators --corpus=mir1k --data_dir=DIR
  python -m benchmarks.separators --corpus=mir1k --data_dir=DIR --networks=default,spleeter --folds=0,1

Each network is trained on each fold with one seed, in a separate process. Every track is a test track of one fold. The
table shows the metrics of each network over the test tracks of the given folds, and the mean difference of the first
network from the others with a 95 % interval by a bootstrap over singers. The runs and `tracks.csv` are written to
--output_dir. The same command resumes after an interruption.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from common import startup

startup.load_tensorflow()  # before anything imports it with its notes

import numpy as np
import pandas as pd
from absl import flags as absl_flags

from benchmarks import trainings
from common import config as configs
from common import files
from common.cli import app
from common.config import FlagValues
from common.errors import UserError, nearest
from common.progress import bar
from separation import evaluation
from separation.config import SEPARATION_CORPORA, TASK, Config

_NUM_FOLDS = 5
_UNET = "--depth=5 --epochs=20 --batch_size=8 --schedule=cosine"

# U-Nets with five levels, as in the report.
NETWORKS = {
    "default": "--variant=default",
    "spleeter": f"--variant=spleeter {_UNET} --epoch_examples=720",
    "report": f"--variant=report {_UNET} --epoch_examples=720",
    # Three times as many epochs, to match the training time of `default`.
    "spleeter-long": f"--variant=spleeter {_UNET} --epoch_examples=2160",
    "report-long": f"--variant=report {_UNET} --epoch_examples=2160",
}
_FIGURES = {"sdr": np.median, "si_sdr": np.mean}


def define_flags(flag_values: FlagValues) -> None:
    """Define the flags of this entry point."""
    define = {"flag_values": flag_values}
    absl_flags.DEFINE_list("networks", ["default", "spleeter", "report"], f"any of {', '.join(NETWORKS)}", **define)
    absl_flags.DEFINE_list("folds", [str(fold) for fold in range(_NUM_FOLDS)], "the folds to test", **define)
    absl_flags.DEFINE_enum("corpus", "mir1k", SEPARATION_CORPORA, "the corpus", **define)
    absl_flags.DEFINE_string("data_dir", None, "folder of the corpus", **define)
    absl_flags.DEFINE_string("train_flags", "", "additional flags for every training", **define)
    absl_flags.DEFINE_string("output_dir", "runs/benchmarks/separators", "folder of the runs and the table", **define)


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Run the missing trainings, and print the tables."""
    app.refuse_arguments(arguments)
    for name, chosen, known in (
        ("networks", flags.networks, list(NETWORKS)),
        ("folds", flags.folds, [str(fold) for fold in range(_NUM_FOLDS)]),
    ):
        for one in chosen:
            if one not in known:
                raise UserError(f"--{name}: expected any of {', '.join(known)}, got {one!r}.{nearest(one, known)}")
    folder = Path(flags.output_dir)
    data = [f"--corpus={flags.corpus}", "--split_rule=folds", f"--num_folds={_NUM_FOLDS}"]
    data += [f"--data_dir={flags.data_dir}"] if flags.data_dir else []
    tables = []
    with bar(len(flags.networks) * len(flags.folds), "training", "run") as meter:
        for fold in flags.folds:
            for network in flags.networks:
                run_dir = folder / f"{network}_{fold}"
                if not (run_dir / "metrics.json").exists():
                    how = [*data, f"--fold={fold}", *NETWORKS[network].split(), *flags.train_flags.split()]
                    trainings.train(f"{network}, fold {fold}", TASK, [*how, f"--run_dir={run_dir}"])
                tables.append(tracks_of(run_dir).assign(network=network, fold=int(fold)))
                meter.update()
    table = pd.concat(tables, ignore_index=True)
    with files.atomic_path(folder / "tracks.csv") as temporary:
        table.to_csv(temporary, index=False)
    print(compare(table).to_string(index=False, na_rep=""))
    print(f"written: {folder / 'tracks.csv'}")


def tracks_of(run_dir: Path) -> pd.DataFrame:
    """Return the metrics of the test tracks of a complete run, with its training time in minutes."""
    config = configs.load(Config, TASK, run_dir / "config.json")
    seconds = config.epoch_examples / pd.read_csv(run_dir / "history.csv")["examples_per_second"]
    return pd.read_csv(run_dir / "test_tracks.csv").assign(minutes=seconds.sum() / 60)


def compare(table: pd.DataFrame) -> pd.DataFrame:
    """Compare networks: one row per stem and network.

    Args:
        table: One row per track, stem and network, ordered by network; columns track, group, stem, network, fold, sdr,
            si_sdr (dB) and minutes.

    Returns:
        Columns stem, network, tracks, sdr (median), si_sdr (mean), minutes (mean over folds), and the mean
        difference of the first network over common test tracks, with its 95 % interval.
    """
    rows = []
    first = table["network"].iloc[0]
    for stem, of_stem in table.groupby("stem", sort=False):
        best = of_stem[of_stem["network"] == first].set_index("track")
        for network, own in of_stem.groupby("network", sort=False):
            own = own.set_index("track")
            row = {"stem": stem, "network": network, "tracks": len(own)}
            row |= {name: f"{middle(own[name].dropna()):.2f}" for name, middle in _FIGURES.items()}
            row["minutes"] = f"{own.groupby('fold')['minutes'].first().mean():.0f}"
            if network != first:
                for name in _FIGURES:
                    difference = (best[name] - own[name]).dropna()
                    low, high = evaluation.bootstrap(difference, best.loc[difference.index, "group"], np.mean)
                    row[f"{first}, {name}"] = f"{difference.mean():+.2f} ({low:+.2f} to {high:+.2f})"
            rows.append(row)
    return pd.DataFrame(rows)


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))
