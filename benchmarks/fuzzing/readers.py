"""Every reader of the toolkit: good inputs for it, which of their files to damage, and how it is called."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.fuzzing import run_readers, table_readers
from benchmarks.fuzzing.mutations import Input
from benchmarks.fuzzing.seeds import archives, audio_files

SAMPLE_RATE = 16_000


class Reader(NamedTuple):
    """A reader, as it is tried.

    Attributes:
        seeds: Makes good inputs; may use the folder it is given.
        read: Reads an input that lies in a folder.
        targets: Ends of the paths of the files to damage; all files unless given.
        weight: How many inputs it gets, beside the others; dear readers get few.
        seconds: How long an input may compute.
    """

    seeds: Callable[[Path], list[Input]]
    read: Callable[[Path], object]
    targets: Sequence[str] = ("",)
    weight: float = 1.0
    seconds: float = 20.0


class _Pipe(io.RawIOBase):
    """Bytes that come once, as through standard input."""

    def __init__(self, content: bytes):
        self.content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, target: bytearray) -> int:
        return self.content.readinto(target)


def read_audio(folder: Path) -> None:
    """Read a file in every way that `common.audio` has."""
    from common import audio

    (path,) = folder.iterdir()
    _each(
        lambda: audio.info(path),
        lambda: audio.read(path, SAMPLE_RATE),
        lambda: audio.read(path, mono=False, start=0.05, duration=0.1),
    )


def read_blocks(folder: Path) -> None:
    """Read a file in blocks, all of it and an excerpt."""
    from common.audio import blocks as audio_blocks

    (path,) = folder.iterdir()
    _each(
        lambda: _exhaust(audio_blocks.blocks(path, SAMPLE_RATE, 0.1)),
        lambda: _exhaust(audio_blocks.blocks(path, SAMPLE_RATE, 0.1, mono=False, start=0.05, duration=0.1)),
    )


def read_standard_input(folder: Path) -> None:
    """Read what comes through a pipe as the entry points do: whole, in blocks, and by way of a temporary file."""
    from common import audio
    from common.audio import blocks as audio_blocks
    from common.cli import inputs

    (path,) = folder.iterdir()
    content = path.read_bytes()

    def by_file() -> None:
        with inputs.on_disk(io.BufferedReader(_Pipe(content))) as copy:
            audio.info(copy)
            _exhaust(audio_blocks.blocks(copy, SAMPLE_RATE, 0.1))

    _each(
        lambda: audio.read(io.BufferedReader(_Pipe(content)), SAMPLE_RATE),
        lambda: _exhaust(audio_blocks.blocks(io.BufferedReader(_Pipe(content)), SAMPLE_RATE, 0.1)),
        by_file,
    )


def read_in_graph(folder: Path) -> None:
    """Read a file as the preparation of shards does: by tensorflow-io where that is, else as `common.audio`."""
    from common.audio import tfio

    (path,) = folder.iterdir()
    tfio.read(path, SAMPLE_RATE)


def unpack(folder: Path) -> None:
    """Unpack an archive, within limits that a bomb goes beyond."""
    from common.corpora import download

    (path,) = folder.iterdir()
    download.unpack(path, folder / "unpacked", max_files=1000, max_bytes=2**24)


def _each(*calls: Callable[[], object]) -> None:
    """Make all calls; let the first error through if each has one. Not every encoding can be read in excerpts."""
    from common.errors import UserError

    errors = []
    for call in calls:
        try:
            call()
        except UserError as error:
            errors.append(error)
    if len(errors) == len(calls):
        raise errors[0]


def _exhaust(blocks) -> None:
    for _ in blocks:
        pass


READERS = {
    "audio": Reader(audio_files, read_audio, weight=5),
    "audio_blocks": Reader(audio_files, read_blocks, weight=4),
    "standard_input": Reader(audio_files, read_standard_input, weight=2),
    "tfio": Reader(audio_files, read_in_graph, weight=1),
    "archive": Reader(archives, unpack, weight=5),
    "manifest": Reader(table_readers.manifests, table_readers.read_manifest, weight=3),
    "folder": Reader(table_readers.metadata, table_readers.index_folder, (".csv",), weight=3),
    "speaker_folders": Reader(table_readers.speakers, table_readers.index_speakers, (".csv",), weight=3),
    "esc50": Reader(table_readers.esc50, table_readers.index_esc50, (".csv",), weight=3),
    "librispeech": Reader(table_readers.librispeech, table_readers.index_librispeech, (".TXT",), weight=3),
    "speech_commands": Reader(table_readers.commands, table_readers.index_commands, (".txt",), weight=3),
    "prepared": Reader(table_readers.prepared, table_readers.index_prepared, (".csv",), weight=3),
    "config": Reader(run_readers.configs, run_readers.read_config, weight=14),
    "figures": Reader(run_readers.figures, run_readers.read_figures, weight=8),
    "excerpts": Reader(run_readers.export_excerpts, run_readers.read_excerpts, (".npz",), weight=2),
    "track_bank": Reader(run_readers.track_banks, run_readers.open_track_bank, weight=2),
    "shards": Reader(run_readers.shard_folders, run_readers.read_shards, weight=2),
    "speech_bank": Reader(run_readers.speech_banks, run_readers.open_speech_bank, (".pcm", ".npz"), weight=2),
    "backup": Reader(run_readers.backups, run_readers.restore, weight=3),
    "weights": Reader(run_readers.weights, run_readers.load_weights, weight=3),
    "snapshot": Reader(run_readers.snapshots, run_readers.load_snapshot, (".npz",), weight=2),
    "run": Reader(run_readers.run_folders, run_readers.load_run, weight=0.2, seconds=120),
}
