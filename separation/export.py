"""Export a trained separator, and compare each file with the Keras model on real excerpts.

  python -m separation.export --run_dir runs/separation/default --formats=saved_model,litert

Writes export/saved_model (a song of any length in, every stem out), export/model.tflite (a window in, every stem's window
out), and report.json, which says rate, channels, window and hop. Spectrograms, masks and the way back are inside.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from common import config as configs
from common import export, files
from common.cli import app
from separation import data, serving
from separation.config import SEPARATION_CORPORA, TASK
from separation.models import for_inference, load_model, window_stems

_NUM_EXCERPTS = 8
_SONG_WINDOWS = 2.5
_TOLERANCE = 1e-4


def define_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags of this entry point."""
    app.define_run_flags(flag_values, TASK)
    app.define_shards_flag(flag_values)
    app.define_other_corpus_flags(flag_values, SEPARATION_CORPORA)
    export.define_formats_flag(flag_values)


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Export and compare as the flags say."""
    app.refuse_arguments(arguments)
    export.check_formats(flags.formats)
    export_run(flags.run_dir, flags.formats, shards_dir=flags.shards_dir, corpus=flags.corpus, data_dir=flags.data_dir)
    print(f"written: {Path(flags.run_dir) / 'export'}")


def export_run(
    run_dir: str | Path,
    formats: Sequence[str] = export.FORMATS,
    *,
    shards_dir: str | Path = "data/shards",
    corpus: str | None = None,
    data_dir: str | None = None,
) -> dict:
    """Write the exports of a run, compare each with the Keras model, and write `report.json` beside them.

    Args:
        run_dir: A trained run.
        formats: Any of `common.export.FORMATS`.
        shards_dir: Where decoded tracks are kept.
        corpus: Corpus of the excerpts to compare on, if not the trained one.
        data_dir: Folder of that corpus.

    Returns:
        The report: for each format its figures of `common.export.compare`, and `protocol`.

    Raises:
        UserError: The run cannot be loaded, or an export answers differently from the model.
    """
    config, model = load_model(run_dir)
    folder = Path(run_dir) / "export"
    files.check_writable(folder)
    recordings = data.load_corpus(data.with_corpus(config, corpus, data_dir), shards_dir)
    split = data.prepare_split(recordings, "test")
    separator = for_inference(model, config)
    report = {}
    if "saved_model" in formats:
        # Longer than a window, and no multiple of one: joins are compared too.
        song = (
            split.bank.pcm[0].sum(axis=1, dtype=np.float32)[None, : round(_SONG_WINDOWS * config.window_samples)]
            / 2**15
        )

        def serve_song(mixture: tf.Tensor) -> dict[str, tf.Tensor]:
            stems = tf.map_fn(
                lambda one: serving.overlap_add(model, config, one),
                mixture,
                fn_output_signature=tf.TensorSpec((len(config.stems), None, config.channels), tf.float32),
            )
            return {stem: stems[:, index] for index, stem in enumerate(config.stems)}

        signature = tf.TensorSpec((None, None, config.channels), tf.float32, name="mixture")
        export.write_saved_model(model, serve_song, signature, folder / "saved_model")
        received = [export.run_saved_model(folder / "saved_model", song, stem) for stem in config.stems]
        expected = separator.separate(song[0]).waveforms
        report["saved_model"] = export.compare("saved_model", expected[:, None], np.stack(received), _TOLERANCE)
    if "litert" in formats:
        windows = np.concatenate([mixtures for mixtures, _ in data.build_dataset(recordings.config, split)])
        windows = windows[:_NUM_EXCERPTS]
        expected = separator.run(windows)

        def serve_window(mixture: tf.Tensor) -> dict[str, tf.Tensor]:
            stems = window_stems(model, config, mixture)
            return {stem: stems[:, index] for index, stem in enumerate(config.stems)}

        signature = tf.TensorSpec((1, config.window_samples, config.channels), tf.float32, name="mixture")
        path = folder / "model.tflite"
        export.write_litert(model, signature, path, serve_window)
        received = np.stack([export.run_litert(path, windows, stem) for stem in config.stems], axis=1)
        report["litert"] = export.compare("litert", expected, received, _TOLERANCE)
        report["litert"]["bytes"] = path.stat().st_size
    report["protocol"] = {
        "corpus": recordings.config.corpus,
        "split": "test",
        "stems": config.stems,
        "sample_rate": config.sample_rate,
        "channels": config.channels,
        "window_samples": config.window_samples,
        "hop_samples": config.window_hop,
    }
    files.write_json(folder / "report.json", report)
    return report


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))
