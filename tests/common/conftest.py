import pytest

from benchmarks.example_corpora.riffs import write_riffs
from benchmarks.example_corpora.songs import write_songs
from benchmarks.example_corpora.voices import write_speakers


@pytest.fixture(scope="session")
def task_dirs(once, corpus_dir):
    """A tiny corpus for each task."""
    return {
        "kws": corpus_dir,
        "counting": once("voices", lambda folder: write_speakers(folder, seconds=1.5)),
        "separation": once("songs", write_songs),
        "generation": once("music", write_riffs),
    }


@pytest.fixture(scope="session")
def task_flags(task_dirs):
    """The flags that train each task's variant `tiny` on it."""
    own = {
        "kws": ["--batch_size=8", "--max_shift_ms=100"],
        "counting": ["--max_speakers=2", "--ema_momentum=0.9"],
        "separation": ["--stems=vocals,accompaniment"],
        "generation": ["--r1_every=2"],
    }
    return {
        task: ["--variant=tiny", "--corpus=folder", f"--data_dir={task_dirs[task]}", "--epochs=2", *flags]
        for task, flags in own.items()
    }
