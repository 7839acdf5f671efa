"""A trained speaker counter that all tests of the task share."""

import pytest

from benchmarks.example_corpora.voices import write_speakers
from counting import train


@pytest.fixture(scope="session")
def voices_dir(once):
    return once("buzz", write_speakers)


@pytest.fixture(scope="session")
def counting_flags(voices_dir, shards_dir):
    """The flags that train a small counter of one or two voices, women and men, in seconds."""
    return [
        "--variant=tiny",
        "--model=tc_resnet",
        "--corpus=folder",
        f"--data_dir={voices_dir}",
        f"--shards_dir={shards_dir}",
        "--max_speakers=2",
        "--epochs=6",
        "--schedule=cosine",  # with a constant rate the last epoch's accuracy differs by 15 points between seeds
        "--epoch_examples=320",
        "--dropout=0.1",
        "--max_time_mask=0",
        "--max_frequency_mask=0",
    ]


@pytest.fixture(scope="session")
def counting_run(trained, counting_flags):
    """A run directory as `python -m counting.train` leaves it."""
    return trained("counter", train, counting_flags)
