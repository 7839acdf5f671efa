"""Run every command on every kind of recording that users may have.

  python -m benchmarks.kinds                 all formats, damaged in every way
  python -m benchmarks.kinds --small         each format and each damage once, as the tests do

The recordings are synthetic: intact and damaged files of every format, names in every script, links, channels that
cancel, silence, extreme sample rates. Every command gets a folder with all of them, and every training a corpus that
includes them. For each kind and command, the table shows `ok`, `line` (rejected with a one-line error), or the problem.
The exit code is 1 if there is a problem: a traceback, a missing result without an error line, a wrong length, or a
changed input.
"""

import contextlib
import dataclasses
import hashlib
import importlib
import io
import json
import os
import shutil
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from absl import flags as absl_flags

from benchmarks import damaged_recordings
from benchmarks.example_corpora import riffs, songs, voices, whistles
from common import audio
from common.cli import app
from common.config import FlagValues
from common.errors import UserError

OK, LINE = "ok", "line"
_RATE = 16000
_TRAIN = "--variant=tiny --corpus=folder --data_dir={corpus} --run_dir={run} --shards_dir={shards} --epochs=1 --max_rejected=1"
_TASKS = {
    "kws": (whistles.write_words, "--noise_dir={kinds} --noise_probability=0.5"),
    "counting": (voices.write_speakers, "--noise_dir={kinds} --noise_probability=0.5 --max_speakers=2"),
    "separation": (songs.write_songs, ""),
    "generation": (riffs.write_riffs, ""),
}


@dataclasses.dataclass(frozen=True)
class Kind:
    """A recording.

    Attributes:
        name: Name in the table.
        file_name: Name of the file.
        content: Returns the bytes for a seed; the audio depends on the seed.
        seconds: Length of the readable audio; None if nothing is readable.
        tolerance: In seconds.
    """

    name: str
    file_name: str
    content: Callable[[int], bytes]
    seconds: float | None
    tolerance: float = 0.1


def kinds(small: bool) -> list[Kind]:
    """List the kinds."""
    found = []
    for number, recording in enumerate(damaged_recordings.FORMATS):
        cases = damaged_recordings.damage(recording)
        names = list(cases)
        if small:
            names = ["whole", names[1 + number % (len(names) - 1)]]
        for damage in names:

            def content(seed: int, recording=recording, damage=damage) -> bytes:
                return damaged_recordings.damage(recording, seed)[damage].content

            case = cases[damage]
            stem = f"{recording.name} {damage}".replace(":", "")
            found.append(
                Kind(f"{recording.name}, {damage}", stem + recording.suffix, content, case.seconds, case.tolerance)
            )
    return found + _named() + _of_channels()


def _wav(make: Callable[[np.random.Generator], np.ndarray], rate: int = _RATE, **options) -> Callable[[int], bytes]:
    def content(seed: int) -> bytes:
        file = io.BytesIO()
        soundfile.write(file, make(np.random.default_rng(seed)), rate, format="WAV", **options)
        return file.getvalue()

    return content


def _noise(rng: np.random.Generator) -> np.ndarray:
    return 0.1 * rng.standard_normal(6 * _RATE)


def _named() -> list[Kind]:
    names = {
        "dollar signs": "Ba$$in A$AP_{x^2}.wav",
        "percent, backslash": "100% a\\b.wav",
        "Chinese": "你好.wav",
        "Arabic": "مرحبا.wav",
        "decomposed": unicodedata.normalize("NFD", "mañana.wav"),
        "bytes that are no text": os.fsdecode(b"caf\xe9.wav"),
        "as long as can be": "x" * 251 + ".wav",
        "line break": "two\nlines.wav",
        "dash": "-dash.wav",
        "capital suffix": "LOUD.WAV",
        "comma, quote": "a,\"b\",'c'.wav",
    }
    return [Kind(f"name: {name}", file_name, _wav(_noise), 6.0) for name, file_name in names.items()]


def _of_channels() -> list[Kind]:
    def sides(*factors: float) -> Callable[[np.random.Generator], np.ndarray]:
        return lambda rng: _noise(rng)[:, None] * np.array(factors)

    broken = _wav(lambda rng: np.where(np.arange(6 * _RATE) == 50, np.nan, _noise(rng)), subtype="FLOAT")
    return [
        Kind("stereo", "stereo.wav", _wav(sides(1, 0.5)), 6.0),
        Kind("channels that cancel", "cancel.wav", _wav(sides(1, -1)), 6.0),
        Kind("one side silent", "left.wav", _wav(sides(1, 0)), 6.0),
        Kind("six channels", "six.wav", _wav(sides(1, 1, 1, 0.1, 0.5, 0.5)), 6.0),
        Kind("digital silence", "silence.wav", _wav(lambda rng: np.zeros(6 * _RATE)), 6.0),
        Kind("8 kHz, 8 bits", "telephone.wav", _wav(_noise, 8000, subtype="PCM_U8"), 12.0),
        Kind("192 kHz", "studio.wav", _wav(lambda rng: np.repeat(_noise(rng), 12), 192_000), 6.0),
        Kind("one sample", "one.wav", _wav(lambda rng: rng.normal(0, 0.1, 1)), 0.0),
        Kind("no samples", "none.wav", _wav(lambda rng: np.zeros(0)), None),
        Kind("not a number", "nan.wav", broken, None),
        Kind("no audio", "notes.wav", lambda seed: b"these are notes" * 100, None),
        Kind("empty", "empty.wav", lambda seed: b"", None),
    ]


def table(tried: Sequence[Kind], folder: Path, tasks: Sequence[str] = tuple(_TASKS)) -> pd.DataFrame:
    """Run every command on every kind; one row per kind, one column per command.

    Args:
        tried: The kinds to test.
        folder: An empty folder to work in.
        tasks: The tasks whose commands are run.
    """
    files = folder / "kinds"
    files.mkdir(parents=True)
    for kind in tried:
        (files / kind.file_name).write_bytes(kind.content(0))
    # A link to a recording elsewhere, and the files that macOS adds.
    elsewhere = folder / "elsewhere.wav"
    elsewhere.write_bytes(_wav(_noise)(0))
    (files / "link.wav").symlink_to(elsewhere)
    (files / "._stereo.wav").write_bytes(b"\0\5\x16\7" + bytes(100))
    tried = [*tried, Kind("link", "link.wav", lambda seed: b"", 6.0)]
    before = _checksums(files)
    columns = {"read": [_read(files, kind) for kind in tried]}
    for task in tasks:
        paths = {name: str(folder / task / name) for name in ("corpus", "run", "shards")} | {"kinds": str(files)}
        columns[f"{task}.train"] = _trained_on(task, tried, paths)
        columns |= _answered(task, tried, files, paths)
    if _checksums(files) != before:
        raise RuntimeError("inputs changed")
    return pd.DataFrame(columns, index=[kind.name for kind in tried])


def _checksums(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def _read(files: Path, kind: Kind) -> str:
    try:
        waveform, rate = audio.read(files / kind.file_name)
    except UserError as error:
        return LINE if kind.seconds is None else f"refused: {error}"
    return _compared(kind, len(waveform) / rate)


def _compared(kind: Kind, seconds: float) -> str:
    if kind.seconds is None:
        return f"{seconds:.2f} s of nothing"
    return OK if abs(seconds - kind.seconds) <= kind.tolerance else f"{seconds:.2f} s in place of {kind.seconds:.2f}"


def _run(module: str, flags: Sequence[str]) -> tuple[int | str, str, str]:
    """Run a command in this process; return its exit code or exception, and its output."""
    entry = importlib.import_module(module)
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            code = app.run(entry.main, entry.define_flags, flags)
        except Exception as error:
            code = f"{type(error).__name__}: {error}"
    return code, output.getvalue(), errors.getvalue()


def _answered(task: str, tried: Sequence[Kind], files: Path, paths: dict[str, str]) -> dict[str, list[str]]:
    """Run a command on the folder of all kinds, and check the result for each."""
    run = f"--run_dir={paths['run']}"
    if task == "generation":
        return {}
    if task == "separation":
        stems = Path(paths["run"]).parent / "stems"
        code, _, errors = _run("separation.predict", [run, f"--output_dir={stems}", str(files)])

        def answer(kind: Kind) -> float | None:
            path = stems / Path(kind.file_name).stem / "vocals.wav"
            return audio.info(path).duration_seconds if path.exists() else None
    else:
        code, output, errors = _run(f"{task}.predict", [run, "--output_format=json", str(files)])
        rows = {Path(row["path"]).name: row for row in json.loads(output)} if isinstance(code, int) else {}

        def answer(kind: Kind) -> float | None:
            row = rows.get(kind.file_name)
            ends = [part["end"] for part in (row or {}).get("timeline", [])]
            return ends[-1] if ends else kind.seconds if row else None

    return {f"{task}.predict": [_judged(kind, answer(kind), code, errors) for kind in tried]}


def _judged(kind: Kind, seconds: float | None, code: int | str, errors: str) -> str:
    if isinstance(code, str):
        return code
    shown = kind.file_name.encode("unicode_escape").decode() if "\n" in kind.file_name else kind.file_name
    if seconds is None:
        # Paths in messages are printable: other bytes of a name are escaped.
        return LINE if code == 2 and shown.encode(errors="ignore") in errors.encode(errors="ignore") else "not answered"
    return OK if kind.seconds is None or abs(seconds - kind.seconds) <= kind.tolerance else _compared(kind, seconds)


def _trained_on(task: str, tried: Sequence[Kind], paths: dict[str, str]) -> list[str]:
    """Train on a folder with all kinds, and check the rejected ones and their reasons."""
    write_corpus, options = _TASKS[task]
    corpus = Path(paths["corpus"])
    write_corpus(corpus)
    elsewhere = corpus.parent / "elsewhere.wav"
    shutil.copy(next(corpus.rglob("*.wav")), elsewhere)
    home = next(path for path in sorted(corpus.rglob("*.wav")) if "train" in path.parts or task == "kws").parent
    for number, kind in enumerate(tried):
        if kind.name == "link":
            (home if task != "separation" else corpus / "train").joinpath("link.wav").symlink_to(elsewhere)
        elif task == "separation":
            song = corpus / "train" / f"kind {number:03d}"
            song.mkdir()
            suffix = Path(kind.file_name).suffix
            for seed, stem in enumerate(("vocals", "drums", "other")):
                (song / f"{stem}{suffix}").write_bytes(kind.content(seed))
        else:
            (home / kind.file_name).write_bytes(kind.content(number))
    code, _, errors = _run(f"{task}.train", f"{_TRAIN} {options}".format(**paths).split())
    if code:
        return [f"{code}: {errors.splitlines()[-1] if errors else ''}"] * len(tried)
    rejected = pd.read_csv(Path(paths["run"]) / "rejected.csv", encoding_errors="surrogateescape")
    names = set(map(str, rejected["path"]))

    def outcome(number: int, kind: Kind) -> str:
        told = any(f"kind {number:03d}/" in name or name.endswith(f"/{kind.file_name}") for name in names)
        return LINE if told else OK

    return [outcome(number, kind) for number, kind in enumerate(tried)]


def define_flags(flag_values: FlagValues) -> None:
    """Define the flags of this entry point."""
    absl_flags.DEFINE_bool("small", False, "each format and each damage once", flag_values=flag_values)


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Print the table."""
    app.refuse_arguments(arguments)
    with tempfile.TemporaryDirectory() as folder:
        results = table(kinds(flags.small), Path(folder))
    print(results.to_string())
    wrong = ~results.isin([OK, LINE])
    counts = {
        OK: int((results == OK).sum().sum()),
        LINE: int((results == LINE).sum().sum()),
        "wrong": int(wrong.sum().sum()),
    }
    print(", ".join(f"{name} {count}" for name, count in counts.items()))
    if wrong.to_numpy().any():
        raise UserError(f"{counts['wrong']} of {results.size} results are wrong")


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))
