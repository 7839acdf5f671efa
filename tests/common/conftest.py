import pytest

from benchmarks.example_corpora.riffs import write_riffs
from benchmarks.example_corpora.songs import write_songs
from benchmarks.example_corpora.voices import write_speakers


@pytest.fixture(scope="session")
def task_dirs(tmp_path_factory, corpus_dir):
    """A tiny corpus for each task."""
    root = tmp_path_factory.mktemp("corpora")
    write_speakers(root / "voices", seconds=1.5)
    write_songs(root / "songs")
    write_riffs(root / "music")
    return {
        "kws": corpus_dir,
        "counting": root / "voices",
        "separation": root / "songs",
        "generation": root / "music",
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
