"""Say how many people speak, in a clip or over the time of a recording, and how many of them are women and men.

  python -m counting.predict --run_dir runs/counting/default clip.wav meeting.flac folder/
  python -m counting.predict --run_dir runs/counting/default --output_format=csv --plot_dir=plots meeting.mp3
  sox -d -t wav - | python -m counting.predict --run_dir runs/counting/default -

A recording of up to one and a half times the model's clip gets one count, from its loudest clip. A longer one gets a
timeline: a line for each stretch in which the answer stays the same, then the most that speak at once. It is read as a
stream, so a recording of ten hours takes no more memory than one of ten seconds. Files of any format, rate and channel
count are read; one that cannot be read gets its line on standard error, the others their answers, and the exit code is
2. A picture that is there is replaced if this command drew it of the same recording; others are with --overwrite.
"""

import contextlib
import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np
from absl import flags as absl_flags

from common import config as configs
from common import files, startup
from common.audio import sliding
from common.audio.sources import AudioSource
from common.cli import app, inputs, outputs
from common.cli import flags as shared_flags
from common.cli.csv_list import CsvList
from common.cli.guard import Guard
from common.cli.json_list import JsonList
from counting import inference
from counting.config import TASK, Config
from counting.inference import SpeakerCount, SpeakerCounter


def define_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags of this entry point."""
    shared_flags.define_run_flag(flag_values, TASK)
    shared_flags.define_output_format_flag(flag_values)
    absl_flags.DEFINE_float(
        "hop_seconds", 0.25, "time between two looks at a long recording", 0.01, 60.0, flag_values=flag_values
    )
    absl_flags.DEFINE_bool(
        "merge", True, "join stretches of a timeline that are answered alike", flag_values=flag_values
    )
    absl_flags.DEFINE_string("plot_dir", None, "folder for a picture (PNG) of each timeline", flag_values=flag_values)
    shared_flags.define_overwrite_flag(flag_values)


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Answer for every file named on the command line."""
    named = list(inputs.recordings(arguments))
    config = configs.load(Config, TASK, Path(flags.run_dir) / "config.json")
    sliding.check_hop(flags.hop_seconds, config.clip_seconds)
    pictures: list[Path | None] = [None] * len(named)
    writing = contextlib.nullcontext()
    if flags.plot_dir:
        pictures = [picture_path(flags.plot_dir, number, name) for number, (name, _, _) in enumerate(named)]
        written = outputs.Outputs(flags.plot_dir, "counting.predict", flags)
        targets = [outputs.Target(path, name) for path, (name, _, _) in zip(pictures, named, strict=True)]
        written.check(targets, [source for _, source, _ in named])
        writing = written.writing()
    guard = Guard()
    present = inputs.present(guard, [(*one[:2], path) for one, path in zip(named, pictures, strict=True)])
    counter = _load(flags.run_dir) if present else None
    with writing, WRITERS[flags.output_format]() as writer:
        for name, source, path in present:
            with guard.one(name):
                drawn: list[SpeakerCount] = []
                found = _noted(answer_recording(counter, source, flags.hop_seconds), drawn if path else None)
                writer.recording(name, inference.merged(found) if flags.merge else found)
                if len(drawn) > 1:
                    draw(drawn, name, path)
                    print(f"written: {path}", file=sys.stderr)
    guard.finish()


def _load(run_dir: str) -> SpeakerCounter:
    startup.load_tensorflow()
    from counting.models import load_for_inference

    return load_for_inference(run_dir)


def picture_path(folder: str | Path, number: int, name: str) -> Path:
    """Return the file of a recording's picture: its place on the command line keeps recordings of one name apart."""
    stem = "standard_input" if name == "-" else Path(name).stem
    return Path(folder) / files.fitting_name(f"{number:03d}_{stem}", ".png")


def answer_recording(counter: SpeakerCounter, source: AudioSource, hop_seconds: float) -> Iterator[SpeakerCount]:
    """Answer for a recording: once for a clip, else for stretch after stretch.

    Raises:
        UserError: It cannot be read.
    """
    blocks = counter.blocks(source, hop_seconds=hop_seconds)
    first = next(blocks)
    if not counter.is_long(first):
        return iter([counter.predict(first)])
    return counter.stream(itertools.chain([first], blocks), hop_seconds=hop_seconds, merge=False)


def _noted(found: Iterator[SpeakerCount], into: list[SpeakerCount] | None) -> Iterator[SpeakerCount]:
    """Pass answers on, and keep them if asked: some bytes each, where the sound would take megabytes."""
    for answer in found:
        if into is not None:
            into.append(answer)
        yield answer


def draw(found: Sequence[SpeakerCount], title: str, path: Path) -> None:
    """Draw a timeline into a file: the count, and women and men where they are known."""
    import pandas as pd  # as TensorFlow, only where it is needed

    from common.reporting import plots

    curves = {"all": [answer.count for answer in found]}
    if found[0].female is not None:
        curves |= {"women": [answer.female for answer in found], "men": [answer.male for answer in found]}
    edges = np.array([found[0].start, *(answer.end for answer in found)])
    plots.save(plots.timeline(edges, pd.DataFrame(curves), "speakers at once", title), path)


class TextWriter(contextlib.nullcontext):
    """Lines for people."""

    def __enter__(self) -> Self:
        """Write as it is."""
        return self

    def recording(self, name: str, found: Iterator[SpeakerCount]) -> None:
        """Write one line for a clip; for a timeline a line a stretch, and the most at once."""
        most = 0
        for number, (answer, following) in enumerate(itertools.pairwise(itertools.chain(found, [None]))):
            if number == 0 and following is None and answer.start == 0:
                print(f"{name}  {_words(answer)}  {answer.probability:.3f}")
                return
            print(f"{name}  {answer.start:9.2f} to {answer.end:9.2f} s  {_words(answer)}  {answer.probability:.3f}")
            most = max(most, answer.count)
        print(f"{name}  at most {most} at once")


def _words(answer: SpeakerCount) -> str:
    """Say an answer in words.

    Example:
        >>> _words(SpeakerCount(0.0, 1.0, 3, 1, 2, 0.9))
        '3 speakers (1 F, 2 M)'
    """
    people = f"{answer.count} speaker{'' if answer.count == 1 else 's'}"
    return people if answer.female is None else f"{people} ({answer.female} F, {answer.male} M)"


class JsonWriter(JsonList):
    """One JSON list with an object a recording."""

    def recording(self, name: str, found: Iterator[SpeakerCount]) -> None:
        """Add one recording: the most that speak at once, and its stretches."""
        stretches = [
            {
                "start": round(answer.start, 3),
                "end": round(answer.end, 3),
                "count": answer.count,
                **({} if answer.female is None else {"female": answer.female, "male": answer.male}),
                "probability": round(answer.probability, 6),
            }
            for answer in found
        ]
        self.add({"path": name, "count": max(stretch["count"] for stretch in stretches), "timeline": stretches})


class CsvWriter(CsvList):
    """A row a stretch; a clip is one stretch."""

    def __init__(self):
        """Name the columns."""
        super().__init__("path", "start", "end", "count", "female", "male", "probability")

    def recording(self, name: str, found: Iterator[SpeakerCount]) -> None:
        """Write one recording."""
        for answer in found:
            sexes = ["" if value is None else value for value in (answer.female, answer.male)]
            place = f"{answer.start:.3f}", f"{answer.end:.3f}"
            self.add(name, *place, answer.count, *sexes, f"{answer.probability:.6f}")


WRITERS = {"text": TextWriter, "json": JsonWriter, "csv": CsvWriter}


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))
