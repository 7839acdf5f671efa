"""The recordings that a command line names."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from common.audio import AudioSource
from common.corpora import manifest
from common.errors import UserError


def recordings(arguments: Sequence[str]) -> Iterator[tuple[str, AudioSource, bool]]:
    """Yield every recording: its name, its source, and whether it was found in a folder that was named.

    Folders are read at any depth, and `-` is standard input.

    Raises:
        UserError: None is named, or a folder holds no audio.
    """
    if not arguments:
        raise UserError("no recording given; name files or folders, or - for a WAV on standard input")
    for argument in arguments:
        path = Path(argument)
        if argument == "-":
            yield "-", sys.stdin.buffer, False
        elif path.is_dir():
            found = manifest.audio_files_below(path)
            if not found:
                raise UserError(f"{path} holds no audio files ({', '.join(manifest.AUDIO_SUFFIXES)})")
            yield from ((str(file), file, True) for file in found)
        else:
            yield argument, path, False
