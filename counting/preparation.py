"""Preparation of a fixed set of mixtures on disk, with a table and plots."""

import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf

from common import audio, files, progress, seeds
from common.corpora import manifest, prepared_mixtures
from common.data import decoded, excerpts
from common.errors import UserError
from common.features import spectral
from common.reporting import plots
from counting import data, mixing
from counting.config import Config, settings_of

_AT_ONCE = 64


def prepare(
    config: Config, folder: Path, sizes: dict[str, int], *, shards_dir: str | Path, download: bool = False
) -> pd.DataFrame:
    """Write the missing mixtures, the table and the plots.

    Args:
        config: How to mix.
        folder: Output folder; created if missing.
        sizes: Number of mixtures of each split.
        shards_dir: Folder of the decoded recordings.
        download: Whether to download a missing corpus.

    Returns:
        The table.

    Raises:
        UserError: The folder contains mixtures with other settings, or the corpus cannot be used.
    """
    # Do not require sexes; the table has them if they are known.
    config = dataclasses.replace(config, head="class")
    prepared_mixtures.check_place(folder, settings_of(config))
    corpus = data.load_corpus(config, shards_dir, download=download)
    splits = {name: data.prepare_split(corpus, name) for name in sizes}
    _check_settings(config, folder, splits)
    tables = []
    for name, size in sizes.items():
        split = splits[name]
        source = mixing.open_source(config, split.bank, name, varied=bool(config.max_speed))
        # Round up to whole groups, which share a seed, so that a larger set begins with the mixtures of a smaller one.
        numbers = np.arange(-(-size // _AT_ONCE) * _AT_ONCE)
        counts = mixing.balanced_counts(config, numbers)
        drawn = mixing.draw(source, numbers, counts, config.max_speakers, _seed(config, name))
        table = describe(config, source, drawn, name, _root(corpus)).iloc[:size]
        _write_missing(config, split, source, drawn, folder, list(table["File"]))
        tables.append(table)
    table = pd.concat(tables, ignore_index=True)
    for name, figure in pictures(config, folder, table).items():
        plots.save(figure, folder / name)
    # Written last: if the table exists, the folder is complete.
    with files.atomic_path(folder / prepared_mixtures.TABLE) as temporary:
        table.to_csv(temporary, index=False)
    return table


def _seed(config: Config, split: str) -> int:
    return seeds.stream_seed(config.seed, f"counting.prepared.{split}")


def _root(corpus: data.Corpus) -> Path:
    return Path(corpus.config.data_dir).absolute() if corpus.config.data_dir else Path.cwd()


def _check_settings(config: Config, folder: Path, splits: dict[str, data.Split]) -> None:
    """Refuse a folder prepared from other recordings; write the settings."""
    recordings = {name: _fingerprint(split) for name, split in splits.items()}
    stored = prepared_mixtures.read_settings(folder)
    if stored is not None and stored.get("recordings") != recordings:
        raise UserError(
            f"{folder} was prepared from other recordings than those now in {config.data_dir or config.corpus};"
            " give another --output_dir"
        )
    files.write_json(folder / prepared_mixtures.SETTINGS, {**settings_of(config), "recordings": recordings})


def _fingerprint(split: data.Split) -> str:
    """Return a hash of what the mixtures of a split depend on: recordings, speakers, sexes and noise."""
    digest = hashlib.sha256(split.shards.folder.name.encode())
    digest.update(split.bank.table.drop(columns="path").to_csv(index=False).encode())
    if split.noise is not None:
        digest.update(split.noise.numpy().tobytes())
    return digest.hexdigest()[:16]


def describe(config: Config, source: mixing.Source, drawn: mixing.Drawn, split: str, root: Path) -> pd.DataFrame:
    """Return the table rows of a split's mixtures; paths inside `root` are relative to it."""
    bank = source.bank
    rows = bank.locate(np.maximum(drawn.positions, 0))
    counted = mixing.heard(config, source, drawn)
    paths = [_relative(path, root) for path in bank.table["path"]]
    first, start = bank.table["first"].to_numpy(), bank.table["start"].to_numpy()
    described = []
    for number, (count, speakers) in enumerate(zip(drawn.counts, drawn.speakers, strict=True)):
        letters = "".join(source.sexes[one] or "?" for one in speakers[counted[number]])
        places = range(count)
        begins = [
            (drawn.positions[number, place] - first[rows[number, place]] + start[rows[number, place]])
            / config.sample_rate
            for place in places
        ]
        described.append(
            (
                prepared_mixtures.file_name(split, number),
                split,
                len(letters),
                letters,
                letters.count("F"),
                letters.count("M"),
                ";".join(source.speakers[speakers[place]] for place in places),
                ";".join(paths[rows[number, place]] for place in places),
                ";".join(f"{begin:.2f}" for begin in begins),
            )
        )
    return pd.DataFrame(described, columns=list(prepared_mixtures.COLUMNS))


def _relative(path: str, root: Path) -> str:
    try:
        return Path(path).relative_to(root).as_posix()
    except ValueError:
        return path


def _write_missing(
    config: Config,
    split: data.Split,
    source: mixing.Source,
    drawn: mixing.Drawn,
    folder: Path,
    names: list[str],
) -> None:
    missing = np.array([number for number, name in enumerate(names) if not (folder / name).exists()], np.int64)
    if not len(missing):
        return
    with progress.bar(len(names), f"mixing {split.name}", "mixture", len(names) - len(missing)) as meter:
        for numbers, waveforms in _mixed(config, split, source, drawn, missing):
            tasks = [
                (folder / names[number], waveform, config.sample_rate, "PCM_16")
                for number, waveform in zip(numbers, waveforms, strict=True)
            ]
            for _ in decoded.in_threads(audio.write, tasks):
                meter.update()


def _mixed(
    config: Config, split: data.Split, source: mixing.Source, drawn: mixing.Drawn, missing: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the missing mixtures, group by group. Groups are fixed, because the mixtures of a group share a seed."""

    @tf.function
    def mix(cut: tf.Tensor, counts: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return mixing.mix(config, cut, counts, seed, split.noise)

    for group in np.unique(missing // _AT_ONCE):
        numbers = np.arange(group * _AT_ONCE, (group + 1) * _AT_ONCE)
        positions = drawn.positions[numbers]
        cut = excerpts.read(
            source.bank.tracks, excerpts.Places(np.minimum(positions, 0), positions), source.cut_samples
        )[..., 0]
        seed = tf.constant([_seed(config, split.name), group], tf.int32)
        waveforms = mix(cut, drawn.counts[numbers], seed).numpy()
        chosen = np.isin(numbers, missing)
        yield numbers[chosen], waveforms[chosen]


def summary(table: pd.DataFrame) -> str:
    """Format the number of mixtures by split and count for the console."""
    counts = table.groupby(["Split", "Speakers"], sort=True).size().unstack(fill_value=0)
    return counts.loc[[split for split in manifest.SPLITS if split in counts.index]].to_string()


def pictures(config: Config, folder: Path, table: pd.DataFrame) -> dict[str, plots.Figure]:
    """Plot the class balance, the sexes by number of speakers, and an example mixture of each number.

    Returns:
        Figures by file name.
    """
    balance = table.groupby(["Split", "Speakers"]).size().unstack(fill_value=0)
    balance = balance.loc[[split for split in manifest.SPLITS if split in balance.index]].T
    sexes = table.assign(sexes=table["Speakers Sex"].map(prepared_mixtures.label))
    by_count = sexes.groupby(["Speakers", "sexes"]).size().unstack(fill_value=0)
    examples = {}
    for count, rows in table.groupby("Speakers"):
        row = rows.iloc[0]
        waveform, _ = audio.read(folder / row["File"])
        power = np.abs(spectral.stft(waveform, n_fft=512, hop_length=128)) ** 2
        examples[f"{count}: {row['Speakers Sex'] or 'nobody'} ({row['File']})"] = (
            waveform,
            spectral.power_to_db(power).numpy(),
        )
    return {
        "class_balance.png": plots.bars(balance, "mixtures", "mixtures by number of speakers"),
        "sexes.png": plots.bars(by_count, "mixtures", "women and men by number of speakers", stacked=True),
        "examples.png": plots.examples(examples, config.sample_rate),
    }
