"""Corpora of words that the tests of recordings and of batches share."""

import dataclasses

import pytest
import soundfile

from benchmarks.example_corpora.whistles import RATE, write_words
from kws.config import VARIANTS


@pytest.fixture
def corpus_config(corpus_dir):
    return dataclasses.replace(VARIANTS["tiny"], corpus="folder", data_dir=str(corpus_dir), batch_size=8)


@pytest.fixture
def commands_dir(tmp_path, rng):
    """A miniature in the layout of Speech Commands: three words, background noise, the official lists."""
    root = write_words(tmp_path / "commands", ("low", "high", "rising"), num_clips=24)
    (root / "_background_noise_").mkdir()
    for name in ("tap", "bike", "cat"):
        soundfile.write(root / "_background_noise_" / f"{name}.wav", rng.normal(0, 0.1, 20 * RATE), RATE)
    for listing, speakers in (("validation_list.txt", "6"), ("testing_list.txt", "7")):
        names = [f"{p.parent.name}/{p.name}" for p in root.glob("*/*.wav") if p.name.startswith(f"speaker{speakers}")]
        (root / listing).write_text("\n".join(names) + "\n")
    return root


@pytest.fixture
def commands_config(commands_dir):
    """Return a function that configures the miniature, with the changes that it is given."""

    def configured(**changes):
        return dataclasses.replace(
            VARIANTS["tiny"],
            corpus="speech_commands",
            data_dir=str(commands_dir),
            words=("low", "high"),
            **changes,
        )

    return configured
