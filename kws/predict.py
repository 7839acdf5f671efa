"""Say which word each recording holds.

  python -m kws.predict --run_dir runs/kws/default clip.wav more/*.flac
  python -m kws.predict --run_dir runs/kws/default my_words           a folder; subfolders named as words are the truth
  sox -d -t wav - | python -m kws.predict --run_dir runs/kws/default -

A clip gets one line: the likeliest words with their probabilities, and "rejected" where no keyword reaches the
threshold (the one stored with the run, or --threshold). A longer recording gets a timeline: a line for each word
accepted. Files of any format, rate and channel count are read; one that cannot be read gets its line on standard error,
the others their answers, and the exit code is 2.
"""

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import flags as absl_flags

from common import app, audio, inputs
from common import config as configs
from common.errors import UserError
from kws import detection, rejection
from kws.config import TASK, Config
from kws.models import load_model

_CLIPS_AT_ONCE = 256
_NUM_SHOWN = 3


def define_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags of this entry point."""
    app.define_run_flags(flag_values, TASK)
    absl_flags.DEFINE_enum(
        "output_format",
        "text",
        ["text", "json", "csv"],
        "how answers are written: text, json or csv",
        flag_values=flag_values,
    )
    absl_flags.DEFINE_float(
        "threshold",
        None,
        "probability from which a keyword is accepted (default: the one stored with the run)",
        0.0,
        1.0,
        flag_values=flag_values,
    )
    absl_flags.DEFINE_float(
        "hop_seconds", 0.1, "time between two looks at a long recording", 0.01, 10.0, flag_values=flag_values
    )


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Answer for every file named on the command line."""
    named = list(inputs.recordings(arguments))
    config, model = load_model(flags.run_dir)
    threshold = rejection.load_threshold(flags.run_dir) if flags.threshold is None else flags.threshold
    writer = {"text": TextWriter, "json": JsonWriter, "csv": CsvWriter}[flags.output_format](config)
    failures = []
    clips: list[tuple[str, str | None, np.ndarray]] = []

    def answer_clips() -> None:
        answers = detection.classify(model, config, [waveform for _, _, waveform in clips], threshold)
        for (name, truth, _), answer in zip(clips, answers, strict=True):
            writer.clip(name, truth, answer)
        clips.clear()

    for name, source, in_folder in named:
        truth = true_word(name, config) if in_folder else None
        try:
            waveform, _ = audio.read(source, config.sample_rate)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            failures.append(name)
            continue
        if detection.is_long(config, waveform):
            writer.timeline(name, detection.timeline(model, config, waveform, flags.hop_seconds, threshold))
        else:
            clips.append((name, truth, waveform))
        if len(clips) == _CLIPS_AT_ONCE:
            answer_clips()
    if clips:
        answer_clips()
    writer.close()
    if failures:
        raise UserError(f"{len(failures)} of the recordings could not be read; the lines above say why")


def true_word(name: str, config: Config) -> str | None:
    """Return the word that a recording's folder is named by, if it is one of the model's labels."""
    folder = Path(name).parent.name
    return folder if folder in config.labels else None


class TextWriter:
    """Lines for people."""

    def __init__(self, config: Config):
        """Remember the labels."""
        self.config = config
        self.num_labelled = self.num_right = self.num_accepted = 0

    def clip(self, name: str, truth: str | None, answer: detection.Detection) -> None:
        """Write one clip's answer, the likeliest other labels, and whether it is rejected."""
        chances = dict(zip(self.config.labels, answer.probabilities, strict=True))
        others = sorted((label for label in chances if label != answer.word), key=chances.get, reverse=True)
        words = "  ".join(f"{label} {chances[label]:.3f}" for label in (answer.word, *others[: _NUM_SHOWN - 1]))
        words += "" if answer.accepted else "  rejected"
        if truth is None:
            print(f"{name}  {words}")
            return
        self.num_labelled += 1
        self.num_right += answer.word == truth
        self.num_accepted += answer.accepted
        print(f"{name}  true {truth:<10} predicted {answer.word:<10} {' ' if answer.word == truth else '✗'}  {words}")

    def timeline(self, name: str, found: list[detection.Detection]) -> None:
        """Write one long recording's words, a line each."""
        for item in found:
            print(f"{name}  {item.start:8.2f} s  {item.word}  {item.probability:.3f}")
        if not found:
            print(f"{name}  no keyword found")

    def close(self) -> None:
        """Sum up a labelled folder."""
        if self.num_labelled:
            share = f"{self.num_right / self.num_labelled:.1%}"
            print(f"{self.num_accepted} accepted; {self.num_right} of {self.num_labelled} right ({share})")


class JsonWriter:
    """One JSON list with an object a recording."""

    def __init__(self, config: Config):
        """Remember the labels."""
        self.config = config
        self.rows: list[dict] = []

    def clip(self, name: str, truth: str | None, answer: detection.Detection) -> None:
        """Add one clip."""
        row = {
            "path": name,
            "word": answer.word,
            "probability": answer.probability,
            "accepted": answer.accepted,
        }
        if truth is not None:
            row["true"] = truth
        self.rows.append({**row, "probabilities": dict(zip(self.config.labels, answer.probabilities, strict=True))})

    def timeline(self, name: str, found: list[detection.Detection]) -> None:
        """Add one long recording."""
        words = [
            {"start": item.start, "end": item.end, "word": item.word, "probability": item.probability} for item in found
        ]
        self.rows.append({"path": name, "detections": words})

    def close(self) -> None:
        """Print the list."""
        print(json.dumps(self.rows, indent=2, ensure_ascii=False))


class CsvWriter:
    """A row a clip, or a row a word of a long recording."""

    def __init__(self, config: Config):
        """Write the header."""
        self.writer = csv.writer(sys.stdout, lineterminator="\n")
        self.writer.writerow(["path", "start", "end", "word", "probability", "true", "accepted"])

    def clip(self, name: str, truth: str | None, answer: detection.Detection) -> None:
        """Write one clip."""
        self._row(name, answer, truth or "")

    def timeline(self, name: str, found: list[detection.Detection]) -> None:
        """Write one long recording."""
        for item in found:
            self._row(name, item, "")

    def close(self) -> None:
        """Leave nothing open."""
        sys.stdout.flush()

    def _row(self, name: str, item: detection.Detection, truth: str) -> None:
        self.writer.writerow(
            [
                name,
                f"{item.start:.3f}",
                f"{item.end:.3f}",
                item.word,
                f"{item.probability:.6f}",
                truth,
                str(item.accepted).lower(),
            ]
        )


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))
