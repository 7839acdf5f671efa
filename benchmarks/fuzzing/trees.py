"""Folders as people have them, and as nobody should: names of all scripts and bytes, links, circles, companions, tables."""

import contextlib
import csv
import io
import os
import socket
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.fuzzing import seeds

_WORDS = ("yes", "no", "stop", "go", "Yes", "YES")
_SPLITS = ("train", "training", "val", "valid", "dev", "test", "testing", "eval", "Evaluation", "train_set", "tt")
_SPEAKERS = ("0", "17", "p225", "speaker_01", "spk3", "anna", "bert", "René", "fold1", "fold2", "FCJF0")
_STEMS = ("vocals", "drums", "bass", "other", "mixture", "mix", "Master", "full mix", "no_vocals", "accompaniment")
_SUBSETS = ("train-clean-100", "dev-clean", "test-other", "LibriSpeech", "genres", "Wavfile", "audio", "meta")
_SCRIPTS = (
    "adiós",
    "mañana",
    "Größe",
    "да",
    "نعم",
    "بله می‌خواهم",
    "כן",
    "はい",
    "是",
    "हाँ",
    "ใช่",
    "네",
    "👩‍👩‍👧",
    "ﬁ",
    "İ",
    "ß",
)
_ODD = (
    "a,b",
    "Ba$$in",
    "100%",
    "A_{",
    "-rf",
    "~",
    "~root",
    "con",
    "it's",
    '"q"',
    "a\\b",
    " lead",
    "trail ",
    "a.b.c",
    "=1+1",
)
_CONTROL = ("two\nlines", "tab\t", "\x1b[31mred", "\x7f", "line\u2028", "\u202eevil", "\r", "\x01")
_HIDDEN = (".hidden", "._yes", "__MACOSX", ".DS_Store", ".x.partial-01234567", "@eaDir", ".git", "...")
_SPECIAL = ("_background_noise_", "_silence_", "_unknown_")
_BYTES = (b"caf\xe9", b"\xff\xfe", b"\xc3", b"na\xefve\xa0")
_SUFFIXES = (".wav",) * 8 + (".WAV", ".flac", ".mp3", ".m4a", ".txt", ".pdf", "", ".wav.txt", ".json")
_CONTENTS = 6
# How odd the names of a tree are.
_ODDITIES = (0.0, 0.05, 0.5)


def make(sandbox: Path, seed: int, number: int) -> Path:
    """Make a tree in an empty folder, and beside it what its links lead to; the seed and the number decide what it is.

    Returns:
        The root of the tree.
    """
    rng = np.random.default_rng([seed, number])
    root = sandbox / _text(_name(rng, _ODD + _SCRIPTS)) if rng.random() < 0.3 else sandbox / "root"
    contents = _contents()
    for folder, count in ((root, rng.integers(0, 40)), (sandbox / "outside", 4)):
        folder.mkdir(exist_ok=True)
        layout, oddity = _LAYOUTS[rng.integers(len(_LAYOUTS))], _ODDITIES[rng.integers(len(_ODDITIES))]
        for _ in range(count):
            _write(folder, layout(rng, oddity), contents[rng.integers(len(contents))])
    for _ in range(rng.integers(0, 6) if rng.random() < 0.5 else 0):
        _disturb(root, sandbox, rng)
    if rng.random() < 0.3:
        _write_tables(root, rng)
    return root


def _contents() -> list[bytes]:
    """Return what files hold: mostly a few samples, sometimes nothing, or no audio."""
    sound = seeds.recording()
    return [sound] * _CONTENTS + [b"", b"no audio", sound[:60], sound[: len(sound) // 2]]


def _name(rng: np.random.Generator, usual: tuple[str, ...], oddity: float = 0.5) -> bytes:
    """Draw a name: a usual one, or with the probability `oddity` any."""
    pools = (_SCRIPTS, _ODD, _CONTROL, _HIDDEN, _SPECIAL, _BYTES, _SPLITS, None)
    pool = pools[rng.integers(len(pools))] if rng.random() < oddity else usual
    if pool is None:
        letter = ("x", "é", "是", "👩")[rng.integers(4)].encode()
        return letter * (rng.integers(200, 256) // len(letter))
    name = pool[rng.integers(len(pool))]
    if isinstance(name, str):
        form = ("NFC", "NFD")[rng.integers(2)]
        name = unicodedata.normalize(form, name).encode()
    return name


def _file(rng: np.random.Generator, usual: tuple[str, ...], oddity: float = 0.5) -> bytes:
    name = _name(rng, usual, oddity) if usual is _STEMS or rng.random() < oddity else b"%d" % rng.integers(20)
    if rng.random() < 0.2 * oddity:
        name = b"s%d_nohash_%d" % tuple(rng.integers(3, size=2)) + name[:100]
    suffix = _SUFFIXES[rng.integers(len(_SUFFIXES))].encode()
    return name[: 255 - len(suffix)] + suffix


def _layout(*levels: tuple[str, ...], files: tuple[str, ...] = _WORDS) -> Callable[..., list[bytes]]:
    def draw(rng: np.random.Generator, oddity: float) -> list[bytes]:
        skipped = rng.integers(len(levels) + 1) if rng.random() < 0.3 * oddity else -1
        names = [_name(rng, level, oddity) for place, level in enumerate(levels) if place != skipped]
        return [*names, _file(rng, files, oddity)]

    return draw


_LAYOUTS = (
    _layout(("yes", "no")),
    _layout(_WORDS),
    _layout(("yes", "no"), _SPEAKERS),
    _layout(("train", "eval"), ("yes", "no", "_background_noise_")),
    _layout(_SPLITS, _WORDS),
    _layout(_SPEAKERS),
    _layout(_SPLITS, _SPEAKERS),
    _layout(_SCRIPTS[:4], files=_STEMS),
    _layout(("training", "valid", "testing"), _ODD[:3], files=_STEMS),
    _layout(_SUBSETS[:3], ("19", "20", "21"), ("1",)),
    _layout(("audio",)),
    _layout(_STEMS),
    _layout(_SUBSETS, _SPEAKERS, _SPEAKERS),
    _layout(_SUBSETS),
    _layout(_SPEAKERS, _SPLITS, _WORDS),
    _layout(),
    _layout(_WORDS, _SCRIPTS, _ODD, _SPLITS),
)


def _text(name: bytes) -> str:
    return os.fsdecode(name)


def _write(root: Path, parts: list[bytes], content: bytes) -> None:
    path = root.joinpath(*map(_text, parts))
    # Somebody may have made a file where this needs a folder, and names may be too long.
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _disturb(root: Path, sandbox: Path, rng: np.random.Generator) -> None:
    """Put something into a tree that is no file: a link, a circle, a pipe, what may not be read."""
    inside = sorted(path for path in root.rglob("*") if not path.is_symlink()) or [root]
    outside = sorted((sandbox / "outside").rglob("*")) or [sandbox]
    chosen, other = inside[rng.integers(len(inside))], inside[rng.integers(len(inside))]
    folder = chosen if chosen.is_dir() else chosen.parent
    path = folder / _text(_file(rng, _WORDS) if rng.random() < 0.5 else _name(rng, _WORDS))
    targets = [chosen, other, outside[rng.integers(len(outside))], sandbox / "outside", folder, root, sandbox]
    targets += [Path(".."), Path(path.name), Path("nowhere"), Path(os.path.relpath(other, folder))]
    kind = rng.integers(12)
    with contextlib.suppress(OSError):
        if kind == 0:
            os.mkfifo(path)
        elif kind == 1:
            with socket.socket(socket.AF_UNIX) as pipe:
                pipe.bind(str(path))
        elif kind == 2:
            chosen.chmod(0)
        elif kind == 3:
            (folder / f"._{chosen.name}").write_bytes(b"companion")
        else:
            path.symlink_to(targets[rng.integers(len(targets))])


def _write_tables(root: Path, rng: np.random.Generator) -> None:
    """Put tables beside the recordings, which name some of them, some in another way, and some that are not there."""
    files = [path.relative_to(root).as_posix() for path in sorted(root.rglob("*")) if path.is_file()]
    names = [_respelt(name, rng) for name in files] + ["missing.wav", "../outside/1.wav", "/etc/passwd"]
    columns = {
        "metadata.csv": ("file", "label", "speaker", "split", "sex"),
        "speakers.csv": ("speaker", "sex", "split"),
        "meta/esc50.csv": ("filename", "fold", "category", "src_file"),
    }
    values = {
        "file": lambda: names[rng.integers(len(names))],
        "filename": lambda: names[rng.integers(len(names))].rpartition("/")[2],
        "label": lambda: _text(_name(rng, _WORDS)),
        "speaker": lambda: _text(_name(rng, _SPEAKERS)),
        "split": lambda: _SPLITS[rng.integers(len(_SPLITS))] if rng.random() < 0.2 else "",
        "sex": lambda: ("F", "m", "", "?")[rng.choice(4, p=(0.4, 0.4, 0.19, 0.01))],
        "fold": lambda: str(rng.integers(1, 6)),
        "category": lambda: "dog",
        "src_file": lambda: "1",
    }
    for name, own in columns.items():
        if rng.random() < 0.5:
            continue
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(own)
        writer.writerows([[values[column]() for column in own] for _ in range(rng.integers(0, 20))])
        errors = ("surrogateescape", "backslashreplace")[rng.integers(2)]
        _write(root, [part.encode() for part in name.split("/")], text.getvalue().encode(errors=errors))


def _respelt(name: str, rng: np.random.Generator) -> str:
    choices = (
        name,
        name,
        name.replace("/", "\\"),
        unicodedata.normalize("NFC", name),
        unicodedata.normalize("NFD", name),
    )
    return choices[rng.integers(len(choices))]
