"""Predict the keyword in each recording.

  python -m kws.predict --run_dir runs/kws/default clip.wav more/*.flac
  python -m kws.predict --run_dir runs/kws/default my_words           a folder; names of subfolders are true labels
  sox -d -t wav - | python -m kws.predict --run_dir runs/kws/default -

A clip gets one line: the likeliest words with their probabilities, and "rejected" if no keyword reaches the threshold
(the one stored with the run, or --threshold). A longer recording gets a timeline with one line per accepted word. It is
streamed, so memory use does not depend on its length. Any audio format, sample rate and number of channels is accepted.
Predictions are in the order of the arguments. A recording that cannot be read is reported on standard error, the others
are still processed, and the exit code is 2.
"""

import contextlib
import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from absl import flags as absl_flags

from common import config as configs
from common import run_folders, startup
from common.audio import sliding
from common.cli import app, inputs
from common.cli import flags as shared_flags
from common.cli.csv_list import CsvList
from common.cli.guard import Guard
from common.cli.json_list import JsonList
from common.files.names import plain_name
from common.log import logger
from kws import acceptance
from kws.config import TASK, UNKNOWN, Config
from kws.inference import Detection, KeywordSpotter

_CLIPS_AT_ONCE = 256
_NUM_SHOWN = 3
_CLOSED_SET = (
    "the model knows no words but its keywords, so expect false detections in running speech; to teach it others, train"
    " with --unknown --speech_dir=<folder of speech>"
)


class Clip(NamedTuple):
    """A short recording: its name, its true word if the folder names one, and its waveform `(samples,)`."""

    name: str
    truth: str | None
    waveform: np.ndarray


def define_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags of this entry point."""
    shared_flags.define_run_flag(flag_values, TASK)
    shared_flags.define_output_format_flag(flag_values)
    absl_flags.DEFINE_float(
        "threshold",
        None,
        "smallest probability at which a keyword is accepted (default: the threshold stored with the run)",
        0.0,
        1.0,
        flag_values=flag_values,
    )
    absl_flags.DEFINE_float(
        "hop_seconds",
        0.1,
        "hop between windows of a long recording, in seconds; a multiple of 0.08 with --model=speech_embedding",
        0.01,
        10.0,
        flag_values=flag_values,
    )


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Predict for every file named on the command line."""
    named = list(inputs.recordings(arguments))
    config = run_folders.load(Config, TASK, flags.run_dir)
    sliding.check_hop(flags.hop_seconds, config.clip_seconds)
    threshold = acceptance.operating_point(flags.run_dir, flags.threshold).threshold
    guard = Guard()
    named = inputs.present(guard, named)
    spotter = _load(flags.run_dir, threshold) if named else None
    with WRITERS[flags.output_format](config.labels) as writer:
        if spotter:
            answer(guard, spotter, named, flags.hop_seconds, writer)
    guard.finish()


def _load(run_dir: str, threshold: float) -> KeywordSpotter:
    startup.load_tensorflow()
    from kws.models import load_for_inference

    return load_for_inference(run_dir, threshold)


def answer(
    guard: Guard,
    spotter: KeywordSpotter,
    named: Sequence[inputs.Named],
    hop_seconds: float,
    writer: "TextWriter | JsonWriter | CsvWriter",
) -> None:
    """Write the predictions in input order; clips are batched, and a timeline waits for the clips before it."""
    clips: list[Clip] = []
    hints = [] if UNKNOWN in spotter.labels else [_CLOSED_SET]

    def predict_clips() -> None:
        for clip, found in classify(guard, spotter, clips):
            with guard.one(clip.name):
                writer.clip(clip.name, clip.truth, found)
        clips.clear()

    for name, source, folder in named:
        with guard.one(name):
            blocks = spotter.blocks(source, hop_seconds=hop_seconds)
            first = next(blocks)
            if spotter.is_long(first):
                predict_clips()
                while hints:
                    logger.warning(hints.pop())
                whole = itertools.chain([first], blocks)
                writer.timeline(name, spotter.stream(whole, hop_seconds=hop_seconds))
            else:
                truth = true_word(Path(name), folder, spotter.labels) if folder else None
                clips.append(Clip(name, truth, first))
        if len(clips) == _CLIPS_AT_ONCE:
            predict_clips()
    predict_clips()


def classify(guard: Guard, spotter: KeywordSpotter, clips: Sequence[Clip]) -> Iterator[tuple[Clip, Detection]]:
    """Yield clips with their predictions: as one batch, or if that fails one by one, so that one error stays local."""
    try:
        predictions = spotter.classify([clip.waveform for clip in clips])
    except Exception:
        for clip in clips:
            with guard.one(clip.name):
                yield clip, spotter.classify([clip.waveform])[0]
    else:
        yield from zip(clips, predictions, strict=True)


def true_word(path: Path, folder: Path, labels: Sequence[str]) -> str | None:
    """Return the true word of a recording in a folder, or None if its folder is not one of the model's labels.

    As in training, the word is the name of the topmost subfolder that is a label, else of the folder itself.
    """
    names = [plain_name(name) for name in (folder.absolute().name, *path.relative_to(folder).parts[:-1])]
    return next((name for name in [*names[1:], names[0]] if name in labels), None)


class TextWriter(contextlib.nullcontext):
    """Human-readable lines."""

    def __init__(self, labels: Sequence[str]):
        """Store the labels."""
        super().__init__()
        self.labels = labels
        self.num_labelled = self.num_right = self.num_accepted = 0

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def clip(self, name: str, truth: str | None, prediction: Detection) -> None:
        """Write the prediction of a clip, the next likeliest labels, and whether it is rejected."""
        likely = dict(zip(self.labels, prediction.probabilities, strict=True)) | {
            prediction.word: prediction.probability
        }
        others = sorted((label for label in likely if label != prediction.word), key=likely.get, reverse=True)
        words = "  ".join(f"{label} {likely[label]:.3f}" for label in (prediction.word, *others[: _NUM_SHOWN - 1]))
        words += "" if prediction.accepted else "  rejected"
        if truth is None:
            print(f"{name}  {words}")
            return
        self.num_labelled += 1
        self.num_right += prediction.word == truth
        self.num_accepted += prediction.accepted
        mark = " " if prediction.word == truth else "✗"
        print(f"{name}  true {truth:<10} predicted {prediction.word:<10} {mark}  {words}")

    def timeline(self, name: str, found: Iterator[Detection]) -> None:
        """Write the words of a long recording as they are found, one line each."""
        item = None
        for item in found:
            print(f"{name}  {item.start:8.2f} s  {item.word}  {item.probability:.3f}", flush=True)
        if item is None:
            print(f"{name}  no keyword found")

    def __exit__(self, kind: type | None, *error: object) -> None:
        """Write the accuracy on labelled clips."""
        if self.num_labelled and kind is None:
            accuracy = f"{self.num_right / self.num_labelled:.1%}"
            print(f"{self.num_accepted} accepted; {self.num_right} of {self.num_labelled} correct ({accuracy})")


class JsonWriter(JsonList):
    """A JSON list with one object per recording."""

    def __init__(self, labels: Sequence[str]):
        """Store the labels."""
        self.labels = labels

    def clip(self, name: str, truth: str | None, prediction: Detection) -> None:
        """Add one clip."""
        row = {
            "path": name,
            "word": prediction.word,
            "probability": prediction.probability,
            "accepted": prediction.accepted,
        }
        if truth is not None:
            row["true"] = truth
        self.add({**row, "probabilities": dict(zip(self.labels, prediction.probabilities, strict=True))})

    def timeline(self, name: str, found: Iterator[Detection]) -> None:
        """Add one long recording."""
        words = [
            {"start": item.start, "end": item.end, "word": item.word, "probability": item.probability} for item in found
        ]
        self.add({"path": name, "detections": words})


class CsvWriter(CsvList):
    """One row per clip, or per word of a long recording."""

    def __init__(self, labels: Sequence[str]):
        """Set the columns; `labels` is ignored, for the same signature as the other writers."""
        super().__init__("path", "start", "end", "word", "probability", "true", "accepted")

    def clip(self, name: str, truth: str | None, prediction: Detection) -> None:
        """Write one clip."""
        self._row(name, prediction, truth or "")

    def timeline(self, name: str, found: Iterator[Detection]) -> None:
        """Write one long recording."""
        for item in found:
            self._row(name, item, "")

    def _row(self, name: str, item: Detection, truth: str) -> None:
        accepted = str(item.accepted).lower()
        self.add(name, f"{item.start:.3f}", f"{item.end:.3f}", item.word, f"{item.probability:.6f}", truth, accepted)


WRITERS = {"text": TextWriter, "json": JsonWriter, "csv": CsvWriter}


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))
