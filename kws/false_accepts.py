"""False accepts per hour in recordings without keywords, and the fraction of keywords found in a stream."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy import stats

from common import progress
from common.audio import formats, listing
from common.errors import UserError
from common.reporting import metrics
from kws import data
from kws.config import Config
from kws.inference import KeywordSpotter

HOP_SECONDS = 0.1
_PAUSE_SECONDS = 1.0
_CLIPS_AT_ONCE = 50


def false_accepts(spotter: KeywordSpotter, folder: str | Path) -> dict:
    """Count the detections of the timeline in recordings without keywords.

    Every detection counts, even if the recording contains a keyword, or a word that includes one, after all.

    Args:
        spotter: The keyword spotter, with any threshold.
        folder: Searched recursively for recordings, which are read one at a time.

    Returns:
        `false_accepts`, `hours`, `per_hour` with its 95 % `interval` (Poisson, exact), `by_word`, `num_recordings`, and
        `rejected`, the errors of recordings that could not be read.

    Raises:
        UserError: The folder is missing or has no readable recordings.
    """
    folder = Path(folder)
    listed = listing.find(folder)
    paths = listed.files
    listed.tell()
    if not paths:
        raise UserError(f"{folder} has no audio files ({formats.USUAL_SUFFIXES})")
    words, rejected, num_samples = Counter(), [], 0
    with progress.bar(len(paths), "counting false accepts", "file") as meter:
        for path in paths:
            found, file_samples = Counter(), [0]
            blocks = _counted(spotter.blocks(path, hop_seconds=HOP_SECONDS), file_samples)
            try:
                found.update(item.word for item in spotter.stream(blocks, hop_seconds=HOP_SECONDS))
            except UserError as error:
                rejected.append(str(error))
            else:
                num_samples += file_samples[0]
                words += found
            meter.update()
    if not num_samples:
        raise UserError(f"none of the {len(paths)} recordings in {folder} can be read; first error: {rejected[0]}")
    count, hours = words.total(), num_samples / spotter.sample_rate / 3600
    return {
        "false_accepts": count,
        "hours": hours,
        "per_hour": count / hours,
        "interval": [bound / hours for bound in poisson_interval(count)],
        "by_word": dict(words.most_common()),
        "num_recordings": len(paths) - len(rejected),
        "rejected": rejected,
        "protocol": {
            "folder": str(folder),
            "threshold": spotter.threshold,
            "hop_seconds": spotter.hop_samples(HOP_SECONDS) / spotter.sample_rate,
            "counted": "every detection of the timeline, including keywords that are really spoken",
            "interval": "95 %, exact Poisson",
        },
    }


def _counted(blocks: Iterator[np.ndarray], num_samples: list[int]) -> Iterator[np.ndarray]:
    """Pass blocks on and count their samples in `num_samples[0]`."""
    for block in blocks:
        num_samples[0] += len(block)
        yield block


def keywords_found(spotter: KeywordSpotter, config: Config, split: data.Split) -> dict:
    """Count the keywords of a split that the timeline finds, with one second of digital silence around each clip.

    This puts the false accepts into perspective: a spotter that detects fewer words also has fewer false accepts.

    Args:
        spotter: The keyword spotter, with any threshold.
        config: The configuration, from `data.load_corpus`.
        split: From `data.prepare_split`.

    Returns:
        `found`, the keywords with a detection at their time, and `found_right`, those with a correct detection; each as
        in `common.reporting.metrics.proportion`.
    """
    pause = np.zeros(round(_PAUSE_SECONDS * config.sample_rate), np.float32)
    period_seconds = config.clip_seconds + _PAUSE_SECONDS
    clips = [
        (waveform, config.labels[label.argmax()])
        for batch in data.build_dataset(config, split).as_numpy_iterator()
        for waveform, label in zip(*batch, strict=True)
    ]
    clips = [(waveform, word) for waveform, word in clips if word in config.words]
    num_found = num_right = 0
    for first in range(0, len(clips), _CLIPS_AT_ONCE):
        block = clips[first : first + _CLIPS_AT_ONCE]
        stream = np.concatenate([part for waveform, _ in block for part in (pause, waveform)] + [pause])
        found = list(spotter.stream([stream], hop_seconds=HOP_SECONDS))
        for number, (_, word) in enumerate(block):
            middle = number * period_seconds + _PAUSE_SECONDS + config.clip_seconds / 2
            words = {item.word for item in found if abs((item.start + item.end) / 2 - middle) <= period_seconds / 2}
            num_found += bool(words)
            num_right += word in words
    return {
        "found": metrics.proportion(num_found, len(clips)),
        "found_right": metrics.proportion(num_right, len(clips)),
    }


def format_table(figures: dict) -> str:
    """Format the result of `false_accepts`, with that of `keywords_found` as `keywords`, for the console."""
    low, high = figures["interval"]
    words = ", ".join(f"{word} {count}" for word, count in figures["by_word"].items())
    lines = [
        f"timeline of {figures['hours']:.2f} hours without keywords, threshold {figures['protocol']['threshold']:.3f}",
        f"  false accepts per hour {figures['per_hour']:.1f}  "
        f"(95 % interval {low:.1f} to {high:.1f}, {figures['false_accepts']} in total)",
    ]
    if words:
        lines.append(f"  by word: {words}")
    lines += [
        f"  keywords {name.replace('_right', ' and correct'):<18} {metrics.format_proportion(value)}"
        for name, value in figures["keywords"].items()
        if value["total"]
    ]
    return "\n".join(lines)


def poisson_interval(count: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact confidence interval of the mean of a Poisson count (Garwood 1936).

    Example:
        >>> [round(bound, 2) for bound in poisson_interval(3)]
        [0.62, 8.77]
    """
    tail = (1 - confidence) / 2
    low = stats.chi2.ppf(tail, 2 * count) / 2 if count else 0.0
    return float(low), float(stats.chi2.ppf(1 - tail, 2 * count + 2) / 2)
