"""Parse the file names of multitrack music: find the mixture, and the files that belong to the same song."""

import re
from collections.abc import Collection
from pathlib import PurePosixPath

MIXTURE = "mixture"
ACCOMPANIMENT = "accompaniment"
# Names of a full mix, alone or together with words that only name the version.
_WHOLE = {"mixture", "mix", "mixdown", "mixed", "fullmix", "master", "mastered", "full", "original", "complete"}
_VERSION = {"final", "stereo", "down", "song", "track", "the", "linear", "wav", "v", "version", "rough", "premaster"}
_PARTS = {
    *(
        "vocals",
        "vocal",
        "vox",
        "voice",
        "singing",
        "acapella",
        "drums",
        "drum",
        "percussion",
        "bass",
        "guitar",
        "guitars",
    ),
    *("piano", "keys", "keyboard", "keyboards", "synth", "synths", "strings", "other", "others", "instrumental"),
    *(
        "instrumentals",
        "accompaniment",
        "karaoke",
        "mixture",
        "mix",
        "mixdown",
        "master",
        "novocals",
        "nodrums",
        "nobass",
    ),
    *("residual", "stem", "stems"),
}
# Words that precede the name of a part: lead vocals, no_vocals.
_ADJECTIVES = {"lead", "backing", "no", "minus", "without", "electric", "acoustic", "full", "only"}
# A song without its vocals or without another part.
_DERIVED = {"accompaniment", "instrumental", "instrumentals", "karaoke", "playback", "backing track", "minus one"}
_BUT_ONE = re.compile(r"(no|minus|without|non) ?(vocals?|vox|voice|drums?|bass|guitars?|piano|other)")
_WORD = re.compile(r"[^\W_]+")


def is_mixture(stem: str, track: str = "") -> bool:
    """Whether a file name is that of the mixture of a song.

    Args:
        stem: The file name without its suffix.
        track: Name of the song; its words are ignored.

    Example:
        >>> is_mixture("Full Mix"), is_mixture("My Song_MIX", "My Song"), is_mixture("drum mix")
        (True, True, False)
    """
    words = set(_words(stem)) - (set(_words(track)) - _WHOLE)
    words = {word.strip("0123456789") for word in words} - {""}
    return bool(words & _WHOLE) and words <= _WHOLE | _VERSION


def is_derived(stem: str) -> bool:
    """Whether a file name is that of a song without its vocals or without another part.

    Example:
        >>> is_derived("no_vocals"), is_derived("accompaniment"), is_derived("vocals")
        (True, True, False)
    """
    name = " ".join(_words(stem))
    return name in _DERIVED or bool(_BUT_ONE.fullmatch(name))


def is_part(name: str) -> bool:
    """Whether a name consists of the name of a part only.

    Example:
        >>> is_part("lead vocals"), is_part("My Song (vocals)")
        (True, False)
    """
    words = _words(name)
    return bool(words) and words[-1] in _PARTS and set(words[:-1]) <= _PARTS | _ADJECTIVES


def are_parts(names: Collection[str]) -> bool:
    """Whether there are several names, all of them names of parts."""
    return len(names) > 1 and all(map(is_part, names))


def song_of(track: str) -> str:
    """Return the song that a recording belongs to: its path without names of parts.

    Args:
        track: Path below the root without its suffix, with `/`.

    Example:
        >>> song_of("metal/My Song/vocals"), song_of("metal/My Song (vocals)"), song_of("vocals/My Song"), song_of("a/b")
        ('metal/My Song', 'metal/My Song', 'My Song', 'a/b')
    """
    *folders, name = PurePosixPath(track).parts
    folders = [folder for folder in folders if not is_part(folder)]
    if not is_part(name):
        name = _without_part(name)
        folders.append(name)
    return "/".join(folders) or "."


def _without_part(name: str) -> str:
    """Remove the part from a file name: `My Song (lead vocals)`, `My Song_vocals`, `My Song - Bass`."""
    words = list(_WORD.finditer(name))
    kept = len(words)
    while kept > 1 and words[kept - 1][0].lower() in _PARTS | (_ADJECTIVES if kept < len(words) else set()):
        kept -= 1
    if kept == len(words):
        return name
    return name[: words[kept - 1].end()]


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]
