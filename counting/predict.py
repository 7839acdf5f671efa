"""Count the people who speak at once, in a clip or over the time of a recording, and the women and men among them.

  python -m counting.predict --run_dir runs/counting/default clip.wav meeting.flac folder/
  python -m counting.predict --run_dir runs/counting/default --output_format=csv --plot_dir=plots meeting.mp3
  sox -d -t wav - | python -m counting.predict --run_dir runs/counting/default -

A recording of up to 1.5 times the clip length of the model gets one count, from its loudest clip. A longer one gets a
timeline: a line for each segment with the same prediction, then the largest number of speakers at once. The timeline is
smoothed by a median filter (--smoothing_seconds). It is streamed, so memory use does not depend on its length. Any audio format, sample rate and number of channels is accepted. A
recording that cannot be read is reported on standard error, the others are still processed, and the exit code is 2.
An existing plot is replaced if this command made it from the same recording; other files only with --overwrite.
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
from common import files, run_folders, startup
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
        "hop_seconds", 0.25, "hop between windows of a long recording, in seconds", 0.01, 60.0, flag_values=flag_values
    )
    absl_flags.DEFINE_float(
        "smoothing_seconds",
        inference.SMOOTHING_SECONDS,
        "median filter over the windows of a long recording, in seconds; 0 for none",
        0.0,
        inference.LONGEST_SMOOTHING_SECONDS,
        flag_values=flag_values,
    )
    absl_flags.DEFINE_bool(
        "merge", True, "merge consecutive segments of a timeline with the same prediction", flag_values=flag_values
    )
    absl_flags.DEFINE_string("plot_dir", None, "folder for a plot (PNG) of each timeline", flag_values=flag_values)
    shared_flags.define_overwrite_flag(flag_values)


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Predict for every file named on the command line."""
    named = list(inputs.recordings(arguments))
    config = run_folders.load(Config, TASK, flags.run_dir)
    sliding.check_hop(flags.hop_seconds, config.clip_seconds)
    plot_paths: list[Path | None] = [None] * len(named)
    writing = contextlib.nullcontext()
    if flags.plot_dir:
        plot_paths = [picture_path(flags.plot_dir, number, name) for number, (name, _, _) in enumerate(named)]
        written = outputs.Outputs(flags.plot_dir, "counting.predict", flags)
        targets = [outputs.Target(path, name) for path, (name, _, _) in zip(plot_paths, named, strict=True)]
        written.check(targets, [source for _, source, _ in named])
        writing = written.writing()
    guard = Guard()
    present = inputs.present(guard, [(*one[:2], path) for one, path in zip(named, plot_paths, strict=True)])
    counter = _load(flags.run_dir) if present else None
    with writing, WRITERS[flags.output_format]() as writer:
        for name, source, path in present:
            with guard.one(name):
                drawn: list[SpeakerCount] = []
                found = answer_recording(counter, source, flags.hop_seconds, flags.smoothing_seconds)
                found = _noted(found, drawn if path else None)
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
    """Return the file of a recording's plot; its number on the command line makes the name unique."""
    stem = "standard_input" if name == "-" else Path(name).stem
    return Path(folder) / files.fitting_name(f"{number:03d}_{stem}", ".png")


def answer_recording(
    counter: SpeakerCounter, source: AudioSource, hop_seconds: float, smoothing_seconds: float
) -> Iterator[SpeakerCount]:
    """Return the predictions for a recording: one for a clip, else one per segment.

    Raises:
        UserError: The recording cannot be read.
    """
    blocks = counter.blocks(source, hop_seconds=hop_seconds)
    first = next(blocks)
    if not counter.is_long(first):
        return iter([counter.predict(first)])
    whole = itertools.chain([first], blocks)
    return counter.stream(whole, hop_seconds=hop_seconds, merge=False, smoothing_seconds=smoothing_seconds)


def _noted(found: Iterator[SpeakerCount], into: list[SpeakerCount] | None) -> Iterator[SpeakerCount]:
    """Pass predictions on and append them to `into` if given; they take little memory, unlike the audio."""
    for prediction in found:
        if into is not None:
            into.append(prediction)
        yield prediction


def draw(found: Sequence[SpeakerCount], title: str, path: Path) -> None:
    """Plot a timeline to a file: the count, and the numbers of women and men if predicted."""
    import pandas as pd  # slow to import, so only if needed, like TensorFlow

    from common.reporting import plots

    curves = {"all": [prediction.count for prediction in found]}
    if found[0].female is not None:
        curves |= {
            "women": [prediction.female for prediction in found],
            "men": [prediction.male for prediction in found],
        }
    edges = np.array([found[0].start, *(prediction.end for prediction in found)])
    plots.save(plots.timeline(edges, pd.DataFrame(curves), "speakers at once", title), path)


class TextWriter(contextlib.nullcontext):
    """Human-readable lines."""

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def recording(self, name: str, found: Iterator[SpeakerCount]) -> None:
        """Write one line for a clip; for a timeline one line per segment, and the largest count."""
        most = 0
        for number, (prediction, following) in enumerate(itertools.pairwise(itertools.chain(found, [None]))):
            if number == 0 and following is None and prediction.start == 0:
                print(f"{name}  {_words(prediction)}  {prediction.probability:.3f}")
                return
            place = f"{prediction.start:9.2f} to {prediction.end:9.2f} s"
            print(f"{name}  {place}  {_words(prediction)}  {prediction.probability:.3f}")
            most = max(most, prediction.count)
        print(f"{name}  at most {most} at once")


def _words(prediction: SpeakerCount) -> str:
    """Return a prediction in words.

    Example:
        >>> _words(SpeakerCount(0.0, 1.0, 3, 1, 2, 0.9))
        '3 speakers (1 F, 2 M)'
    """
    people = f"{prediction.count} speaker{'' if prediction.count == 1 else 's'}"
    return people if prediction.female is None else f"{people} ({prediction.female} F, {prediction.male} M)"


class JsonWriter(JsonList):
    """A JSON list with one object per recording."""

    def recording(self, name: str, found: Iterator[SpeakerCount]) -> None:
        """Add one recording: its largest count, and its segments."""
        segments = [
            {
                "start": round(prediction.start, 3),
                "end": round(prediction.end, 3),
                "count": prediction.count,
                **({} if prediction.female is None else {"female": prediction.female, "male": prediction.male}),
                "probability": round(prediction.probability, 6),
            }
            for prediction in found
        ]
        self.add({"path": name, "count": max(segment["count"] for segment in segments), "timeline": segments})


class CsvWriter(CsvList):
    """One row per segment; a clip is one segment."""

    def __init__(self):
        """Set the columns."""
        super().__init__("path", "start", "end", "count", "female", "male", "probability")

    def recording(self, name: str, found: Iterator[SpeakerCount]) -> None:
        """Write one recording."""
        for prediction in found:
            sexes = ["" if value is None else value for value in (prediction.female, prediction.male)]
            place = f"{prediction.start:.3f}", f"{prediction.end:.3f}"
            self.add(name, *place, prediction.count, *sexes, f"{prediction.probability:.6f}")


WRITERS = {"text": TextWriter, "json": JsonWriter, "csv": CsvWriter}


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))
