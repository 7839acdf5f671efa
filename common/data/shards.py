"""Shards: a corpus is decoded and resampled once, then read at disk speed.

`prepare` stores the rows of a manifest in TFRecord files of 16-bit PCM. The folder name is a hash of files, excerpts
and sample rate. A second run therefore reuses the shards, changed recordings are decoded again, and configurations
never share a wrong cache. Shards are written atomically: after an interruption only the missing ones are created.
`read` passes over the shards once; `stream` repeats them without end, in an order that depends on the seed and the
epoch.
"""

import dataclasses
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf
from google.protobuf.message import DecodeError
from tqdm import tqdm

from common import audio, files, progress, seeds
from common.audio import tfio
from common.data import decoded
from common.distribution import workers
from common.errors import UserError
from common.files import tables

_VERSION = 2
_SHARD_BYTES = 16 * 2**20
_SHUFFLE_BYTES = 256 * 2**20
# The name of the parsing operation and its error message, to recognise errors of damaged records.
_PARSING = "parse_recordings"
_NO_RECORD = "Could not parse example"
# A TFRecord consists of length, checksum of the length, content, and checksum of the content.
_LENGTH = struct.Struct("<Q")
_FRAME_BYTES = 16
NUM_PARALLEL = decoded.NUM_PARALLEL


@dataclasses.dataclass(frozen=True)
class Shards:
    """A prepared corpus.

    Attributes:
        folder: Folder of the files.
        paths: The TFRecord files, in order.
        manifest: The manifest; the `row` of a record is a position in it.
        rows: The readable rows, in stored order.
        rejected: A table `path`, `reason` of unreadable rows.
        counts: Number of records in each file.
        sample_rate: Sample rate in Hz.
    """

    folder: Path
    paths: tuple[str, ...]
    counts: tuple[int, ...]
    manifest: pd.DataFrame
    rows: np.ndarray
    rejected: pd.DataFrame
    sample_rate: int


def prepare(
    manifest: pd.DataFrame,
    root: str | Path,
    sample_rate: int,
    *,
    clip_seconds: float | None = None,
    max_rejected: float = 0.05,
    description: str = "preparing",
) -> Shards:
    """Decode and resample the excerpts of a manifest that are not stored yet.

    Args:
        manifest: The rows to store (see `common.corpora.manifest`).
        root: Parent folder of all shards.
        sample_rate: Sample rate to store, in Hz.
        clip_seconds: If given, store only the loudest segment of this length of longer recordings.
        max_rejected: Tolerated fraction of unreadable recordings.
        description: Label of the progress bar.

    Returns:
        The shards; unreadable recordings are in `rejected` and in the file `rejected.csv` of the folder.

    Raises:
        UserError: More than `max_rejected` of the recordings cannot be read, or none can.
    """
    manifest = manifest.reset_index(drop=True)
    folder = Path(root) / _key(manifest, sample_rate, clip_seconds)
    # Corpora are ordered by word and speaker; random order mixes them within every shard.
    order = np.random.default_rng(0).permutation(len(manifest))
    chunks = np.array_split(order, _num_shards(manifest, sample_rate, clip_seconds))
    missing = [index for index in range(len(chunks)) if not _report_path(folder, index).exists()]
    missing = workers.own_first(missing)
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        total = len(manifest)
        done = total - sum(len(chunks[index]) for index in missing)
        with progress.bar(total, description, "clip", done) as meter:
            tasks = [(manifest, chunks[index], folder, index, sample_rate, clip_seconds, meter) for index in missing]
            for _ in decoded.in_threads(_write_shard, tasks):
                pass
    return _open(folder, len(chunks), manifest, sample_rate, max_rejected)


def read(shards: Shards, num_samples: int, batch_size: int) -> tf.data.Dataset:
    """Read all records once, in stored order.

    Args:
        shards: The result of `prepare`.
        num_samples: Length of every waveform: longer ones are cut at the end, shorter ones padded with zeros.
        batch_size: Records per batch; the last batch may be smaller.

    Returns:
        Batches of (waveform `(batch, num_samples)` float32, row `(batch,)` int64); not yet `finish`ed.
    """
    records = tf.data.TFRecordDataset(list(shards.paths)).batch(batch_size)
    # TFRecord files have an unknown number of records, and Keras warns about an unexpected end of the data.
    records = records.apply(tf.data.experimental.assert_cardinality(-(-len(shards.rows) // batch_size)))
    return records.map(lambda serialized: _parse(serialized, num_samples), num_parallel_calls=NUM_PARALLEL)


def recordings(shards: Shards) -> Iterator[tuple[int, np.ndarray]]:
    """Read every record once at full length, in stored order: row and int16 samples, shape `(samples,)`."""
    try:
        for serialized in tf.data.TFRecordDataset(list(shards.paths)):
            feature = tf.train.Example.FromString(serialized.numpy()).features.feature
            row = feature["row"].int64_list.value[0]
            if not 0 <= row < len(shards.manifest):
                raise ValueError(f"a record is of row {row} of {len(shards.manifest)}")
            yield row, np.frombuffer(feature["waveform"].bytes_list.value[0], "<i2")
    except (tf.errors.OpError, DecodeError, ValueError, IndexError) as error:
        raise _damaged(shards.folder, error) from error


def damage(error: tf.errors.OpError | UnicodeDecodeError) -> UserError | None:
    """Return a readable error if an error comes from a damaged shard; else None."""
    # The message of TensorFlow quotes the record, which Python may be unable to decode.
    quoted = isinstance(error, UnicodeDecodeError)
    message = error.object.decode("utf-8", "replace") if quoted else error.message
    if isinstance(error, tf.errors.DataLossError) or _PARSING in message or _NO_RECORD in message:
        return UserError(
            f"decoded recordings are damaged ({message}); delete the folder of --shards_dir to create them again"
        )
    return None


def stream(
    shards: Shards,
    num_samples: int,
    batch_size: int,
    seed: int,
    initial_batch: int = 0,
    share: workers.Share | None = None,
) -> tf.data.Dataset:
    """Read the records without end, reshuffled in every pass.

    The order depends only on the seed and the number of the pass, so a resumed training sees the same batches as an
    uninterrupted one.

    Args:
        shards: The result of `prepare`.
        num_samples: Length of every waveform, as for `read`.
        batch_size: Records per batch, at most the number of records. The remainder at the end of a pass is dropped.
        seed: Seed of the order.
        initial_batch: Number of batches to skip.
        share: The part of this worker, if there are several. Each worker reads different files, or different records if
            there are too few files.

    Returns:
        Batches of (waveform `(batch, num_samples)`, row `(batch,)`, seed `(2,)` int32 for the random draws of the
        batch); not yet `finish`ed.
    """
    own, num_workers, seed_offset = (share.index, share.count, share.seed_offset) if share else (0, 1, 0)
    files_suffice = len(shards.paths) >= num_workers
    names = shards.paths[own::num_workers] if files_suffice else shards.paths
    count = sum(shards.counts[own::num_workers]) if files_suffice else len(shards.rows) // num_workers
    if not count:
        raise UserError(f"{len(shards.rows)} recordings are too few for {num_workers} workers")
    batch_size = min(batch_size, count)
    record_bytes = sum(os.path.getsize(path) for path in shards.paths) / len(shards.rows)
    buffer_size = int(min(count, max(1024, _SHUFFLE_BYTES / record_bytes)))
    paths = tf.data.Dataset.from_tensor_slices(list(names))

    def pass_batches(number: tf.Tensor) -> tf.data.Dataset:
        # This sets the seed of this function's graph only. The order must not depend on the global seed, and a global
        # seed of 0 together with a tensor seed fails in tf.data.
        tf.random.set_seed(1)
        order_seed = seeds.stream_seed(seed, "shards", number)
        records = paths.shuffle(len(names), order_seed, reshuffle_each_iteration=False)
        records = records.interleave(tf.data.TFRecordDataset, cycle_length=4, num_parallel_calls=1, deterministic=True)
        if not files_suffice:
            records = records.shard(num_workers, own)
        records = records.shuffle(buffer_size, order_seed, reshuffle_each_iteration=False)
        batches = records.batch(batch_size, drop_remainder=True).enumerate()
        return batches.map(lambda step, serialized: (serialized, tf.stack([order_seed + seed_offset, step])))

    first_pass, done = divmod(initial_batch, count // batch_size)
    passes = tf.data.Dataset.range(first_pass, 2**31 - 1).flat_map(pass_batches).skip(done)
    return passes.map(
        lambda serialized, draw: (*_parse(serialized, num_samples), tf.cast(draw, tf.int32)),
        num_parallel_calls=NUM_PARALLEL,
        deterministic=True,
    )


def batch_rows(
    shards: Shards, batch_size: int, seed: int, batch: int, share: workers.Share | None = None
) -> np.ndarray:
    """Return the rows of a batch of `stream`, shape `(batch_size,)`."""
    return next(iter(stream(shards, 1, batch_size, seed, batch, share).take(1)))[1].numpy()


def finish(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Prefetch, and set the options of all pipelines.

    Autotuning is off: at the end of every `fit` and `evaluate` it can block for ten seconds and more (TensorFlow 2.21,
    two cores). Parallelism is set explicitly instead. If `fit` divides the data among several workers, it divides by
    example.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    options.deterministic = True
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return dataset.prefetch(8).with_options(options)


def _num_shards(manifest: pd.DataFrame, sample_rate: int, clip_seconds: float | None) -> int:
    """Estimate the number of files for about `_SHARD_BYTES` per file."""
    seconds = manifest["duration"].fillna(clip_seconds or 10.0)
    if clip_seconds is not None:
        seconds = seconds.clip(upper=clip_seconds)
    return int(np.clip(np.ceil(seconds.sum() * sample_rate * 2 / _SHARD_BYTES), 1, max(1, len(manifest))))


def _key(manifest: pd.DataFrame, sample_rate: int, clip_seconds: float | None) -> str:
    excerpts = zip(manifest["path"], manifest["start"], manifest["duration"], strict=True)
    return decoded.key([_VERSION, sample_rate, clip_seconds], excerpts)


def _shard_path(folder: Path, index: int) -> Path:
    return folder / f"shard-{index:05d}.tfrecord"


def _report_path(folder: Path, index: int) -> Path:
    """Return the path of the report of a shard; it is written last, so its existence marks a complete shard."""
    return folder / f"shard-{index:05d}.json"


def _write_shard(
    manifest: pd.DataFrame,
    rows: np.ndarray,
    folder: Path,
    index: int,
    sample_rate: int,
    clip_seconds: float | None,
    meter: tqdm,
) -> None:
    if _report_path(folder, index).exists():
        return
    stored, rejected = [], []
    paths, starts, durations = (manifest[name].to_numpy() for name in ("path", "start", "duration"))
    with files.atomic_path(_shard_path(folder, index)) as temporary, tf.io.TFRecordWriter(str(temporary)) as writer:
        for row in rows.tolist():
            duration = None if np.isnan(durations[row]) else float(durations[row])
            try:
                waveform, _ = tfio.read(paths[row], sample_rate, start=float(starts[row]), duration=duration)
            except UserError as error:
                rejected.append([row, str(error)])
            else:
                if clip_seconds is not None:
                    waveform = audio.loudest_excerpt(waveform, round(clip_seconds * sample_rate))
                writer.write(_serialize(waveform, row))
                stored.append(row)
            meter.update()
    files.write_json(_report_path(folder, index), {"rows": stored, "rejected": rejected})


def _serialize(waveform: np.ndarray, row: int) -> bytes:
    pcm = audio.to_pcm16(waveform).tobytes()
    feature = {
        "waveform": tf.train.Feature(bytes_list=tf.train.BytesList(value=[pcm])),
        "row": tf.train.Feature(int64_list=tf.train.Int64List(value=[row])),
    }
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def _parse(serialized: tf.Tensor, num_samples: int) -> tuple[tf.Tensor, tf.Tensor]:
    features = {"waveform": tf.io.FixedLenFeature([], tf.string), "row": tf.io.FixedLenFeature([], tf.int64)}
    records = tf.io.parse_example(serialized, features, name=_PARSING)
    pcm = tf.io.decode_raw(records["waveform"], tf.int16, little_endian=True, fixed_length=2 * num_samples)
    return tf.cast(pcm, tf.float32) / audio.PCM16_SCALE, records["row"]


def _check_lengths(path: Path, num_records: int) -> None:
    """Check the record lengths of a file, since TensorFlow allocates whatever length a damaged record states.

    Raises:
        ValueError: The number of records is wrong, or they do not end at the end of the file.
    """
    num_bytes = path.stat().st_size
    position = found = 0
    # Only the headers of the records are read.
    with path.open("rb", buffering=0) as file:
        while position < num_bytes:
            file.seek(position)
            header = file.read(_LENGTH.size)
            if len(header) < _LENGTH.size:
                raise ValueError(f"{path.name} ends within a record")
            position += _LENGTH.unpack(header)[0] + _FRAME_BYTES
            found += 1
    if (position, found) != (num_bytes, num_records):
        raise ValueError(f"{path.name} has {found} records of {position} bytes; expected {num_records} of {num_bytes}")


def _hint(folder: Path) -> str:
    return f"delete {folder} to create it again"


def _damaged(folder: Path, error: Exception) -> UserError:
    return UserError(f"the shards in {folder} are damaged ({error}); {_hint(folder)}")


def _open(folder: Path, num_shards: int, manifest: pd.DataFrame, sample_rate: int, max_rejected: float) -> Shards:
    try:
        reports = [files.read_json(_report_path(folder, index), _hint(folder)) for index in range(num_shards)]
        rows = np.array([row for report in reports for row in report["rows"]], np.int64)
        rejections = [(manifest["path"][row], str(reason)) for report in reports for row, reason in report["rejected"]]
        if rows.size and not 0 <= rows.min() <= rows.max() < len(manifest):
            raise ValueError(f"rows are not within 0 to {len(manifest) - 1}")
        for index, report in enumerate(reports):
            _check_lengths(_shard_path(folder, index), len(report["rows"]))
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise _damaged(folder, error) from error
    rejected = pd.DataFrame(rejections, columns=["path", "reason"])
    if not rejected.empty:
        listing = folder / "rejected.csv"
        # The folder may be read-only once it is complete.
        if not listing.exists():
            tables.write(rejected, listing)
        decoded.check_rejected(rejected, len(manifest), max_rejected, where=str(listing))
    paths = tuple(str(_shard_path(folder, index)) for index in range(num_shards))
    counts = tuple(len(report["rows"]) for report in reports)
    return Shards(folder, paths, counts, manifest, rows, rejected, sample_rate)
