"""Train a task with one option changed at a time, all trainings of the same length, and print a table.

  python -m benchmarks.options --task=separation
  python -m benchmarks.options --task=separation --train_flags="--corpus=mir1k --data_dir=DIR --split_rule=folds"
  python -m benchmarks.options --task=separation --names=base,softmax --output_dir=runs/benchmarks/masks

The first row is the base; every other row is the base with the given flags. The trainings are short, with one seed: the
table shows that an option trains, and roughly its cost and gain. The runs and `table.csv` are written to --output_dir.
The same command resumes after an interruption.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from absl import flags as absl_flags

from benchmarks import trainings
from common import files
from common.cli import app
from common.config import FlagValues
from common.errors import UserError, nearest
from common.progress import bar

BASE = "base"


class Options(NamedTuple):
    """The trainings of a task.

    Attributes:
        base: Flags of every training.
        rows: For each row its additional flags.
        figures: Selects the metrics of `metrics.json` for the table.
    """

    base: str
    rows: dict[str, str]
    figures: Callable[[dict], dict[str, object]]


def _of_stems(metrics: dict) -> dict[str, object]:
    """Return the metrics of each stem in dB, in the order of the stems."""
    return {
        "stems": ", ".join(metrics["sdr"]),
        **{name: ", ".join(f"{value:.2f}" for value in metrics[name].values()) for name in ("sdr", "si_sdr")},
        "tracks": metrics["protocol"]["num_tracks"],
    }


def _of_samples(metrics: dict) -> dict[str, object]:
    """Return the distances of samples, and the floor, which is the distance of training tracks."""
    names = ("frechet_distance", "floor", "precision", "recall", "density", "coverage", "spread_ratio", "nearest_ratio")
    return {name: round(metrics[name], 2) for name in names}


TASKS = {
    "separation": Options(
        # Five levels of the U-Net, trained for minutes.
        "--variant=spleeter --depth=5 --split_rule=official --epochs=8 --epoch_examples=480 --batch_size=8 --schedule=cosine",
        {
            "bce": "--loss=bce",
            "waveform_l1": "--loss=waveform_l1",
            "si_sdr": "--loss=si_sdr",
            "multi_stft": "--loss=multi_stft",
            "two losses": "--loss=waveform_l1,multi_stft",
            "binary": "--mask=binary --loss=bce",
            "ratio": "--mask=ratio",
            "softmax": "--mask=softmax",
            "complex": "--mask=complex --loss=waveform_l1",
            "spectrum": "--mask=spectrum --loss=waveform_l1",
            "wiener": "--wiener_iterations=1",
            "mixed songs": "--remix_probability=0.75",
            "gains": "--min_gain=0.25 --max_gain=1.25",
            "signs": "--flip_probability=0.5",
            "speed": "--max_speed=0.12",
            "pitch": "--max_pitch_semitones=2",
            "tempo": "--max_tempo=0.12",
            "six levels": "--depth=6",
            "report": "--variant=report --schedule=cosine",
            "windows at random": "--variant=report --schedule=cosine --split_rule=random",
            "vocals alone": "--stems=vocals",
            "default": "--variant=default --depth=3 --ema_momentum=0.99 --batch_size=6",
            "default spectrum": "--variant=default --depth=3 --ema_momentum=0.99 --batch_size=6 --mask=spectrum",
            "default stereo": "--variant=default --depth=3 --ema_momentum=0.99 --batch_size=6 --sample_rate=44100"
            " --num_channels=2 --num_frames=64 --corpus=synthetic --split_rule=official",
            "four stems": "--stems=vocals,drums,bass,other --mask=softmax --corpus=synthetic --split_rule=official",
            "two stems": "--mask=softmax --corpus=synthetic --split_rule=official",
        },
        _of_stems,
    ),
    "generation": Options(
        "--variant=synthetic --epochs=6 --epoch_examples=400 --monitor_epochs=6",
        {
            "bce": "--loss=bce --real_label=0.9",
            "wgan_gp": "--loss=wgan_gp",
            "no spectral norm": "--nospectral_norm",
            "no R1": "--r1_weight=0",
            "no augmentation": "--augment=none",
            "fixed augmentation": "--augment=fixed --augment_probability=0.3",
            "no average": "--ema_momentum=0",
            "two discriminator steps": "--discriminator_steps=2 --batch_size=16",
            "no styles": "--style_dim=0",
            "uniform noise": "--noise=uniform",
            "consecutive excerpts": "--excerpts=consecutive",
            "scaled by bands": "--scaling=bands",
            "report": "--variant=report",
            "report-reduced": "--variant=report-reduced",
            # Fewer examples, since it is meant for a GPU.
            "specgan": "--variant=specgan --batch_size=8 --epoch_examples=160",
        },
        _of_samples,
    ),
}


def define_flags(flag_values: FlagValues) -> None:
    """Define the flags of this entry point."""
    absl_flags.DEFINE_enum("task", None, list(TASKS), f"the task: {', '.join(TASKS)}", flag_values=flag_values)
    absl_flags.DEFINE_list("names", None, "the rows to train; all by default", flag_values=flag_values)
    absl_flags.DEFINE_string(
        "train_flags",
        "",
        "flags for every training, applied after those of the base and before those of the row",
        flag_values=flag_values,
    )
    absl_flags.DEFINE_string(
        "output_dir",
        None,
        "folder of the runs and the table (default runs/benchmarks/options/<task>)",
        flag_values=flag_values,
    )


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Run the missing trainings, and print the table."""
    app.refuse_arguments(arguments)
    if not flags.task:
        raise UserError(f"--task: expected one of {', '.join(TASKS)}")
    options = TASKS[flags.task]
    known = {BASE: "", **options.rows}
    for name in flags.names or ():
        if name not in known:
            raise UserError(f"--names: expected any of {', '.join(known)}, got {name!r}.{nearest(name, known)}")
    folder = Path(flags.output_dir or f"runs/benchmarks/options/{flags.task}")
    common = f"{options.base} {flags.train_flags}".split()
    rows = []
    names = list(flags.names or known)
    with bar(len(names), "training", "run") as meter:
        for name in names:
            run_dir = folder / name.replace(",", "").replace(" ", "_")
            if not (run_dir / "metrics.json").exists():
                trainings.train(name, flags.task, [*common, *known[name].split(), f"--run_dir={run_dir}"])
            metrics = files.read_json(run_dir / "metrics.json", "delete it to create it again")
            speed = trainings.examples_per_second(run_dir)
            rows.append(
                {"row": name, "flags": known[name], **options.figures(metrics), "examples_per_second": round(speed, 1)}
            )
            meter.update()
    table = pd.DataFrame(rows)
    with files.atomic_path(folder / "table.csv") as temporary:
        table.to_csv(temporary, index=False)
    print(" ".join(common))
    print(table.to_string(index=False))
    print(f"written: {folder / 'table.csv'}")


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))
