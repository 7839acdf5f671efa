"""The recordings given on the command line."""

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from common import config as configs
from common import streams
from common.audio import decoding, formats, listing, sources
from common.audio.sources import AudioSource
from common.cli.guard import Guard
from common.errors import UserError

Named = tuple[str, AudioSource, Path | None]


def recordings(arguments: Sequence[str]) -> Iterator[Named]:
    """Yield every recording: its name, its source, and the folder argument that it was found in, if any.

    Folders are searched at any depth; `-` is standard input.

    Raises:
        UserError: No argument is given, or a folder has no audio.
    """
    if not arguments:
        raise UserError("no recording given; give files or folders, or - for a WAV on standard input")
    for argument in arguments:
        path = Path(configs.expanded(argument))
        if argument == "-":
            yield "-", streams.standard_input(), None
        elif os.path.isdir(path):
            found = listing.find(path)
            found.tell()
            if not found.files:
                raise UserError(f"{path} has no audio files ({formats.USUAL_SUFFIXES})")
            yield from ((str(file), file, path) for file in found.files)
        else:
            yield str(path) if argument.startswith("~") else argument, path, None


def present(guard: Guard, named: Iterable[tuple]) -> list[tuple]:
    """Return the recordings that exist; the guard reports the others before anything slow is loaded.

    Recordings are also opened, until one is readable: only then is there something to load the model for.

    Args:
        guard: The guard of the command.
        named: Tuples that start with name and source.
    """
    found, any_readable = [], False
    for one in named:
        source = one[1]
        with guard.one(one[0]):
            sources.source_name(source)
            if not any_readable and not hasattr(source, "read"):
                with decoding.opened(source):
                    pass
            any_readable = True
            found.append(one)
    return found


@contextlib.contextmanager
def on_disk(source: AudioSource) -> Iterator[Path]:
    """Yield the path of a recording; standard input is copied to a temporary file.

    Raises:
        UserError: The copy failed, or the block failed; the message then says "standard input" in place of the path.
    """
    if not hasattr(source, "read"):
        yield Path(source)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "standard_input"
        with path.open("wb") as file:
            sources.copy("standard input", source, file)
        try:
            yield path
        except UserError as error:
            raise UserError(str(error).replace(str(path), "standard input")) from error
