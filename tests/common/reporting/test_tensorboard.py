import html
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugin_util import markdown_to_safe_html

from common.reporting import plots, tensorboard

LABELS = ("_silence_", "Ba$$in *b* <i>", "caf\udce9")


def events(folder):
    return EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()


def described(folder, tag):
    """What a reader of the page sees below a clip."""
    page = markdown_to_safe_html(events(folder).SummaryMetadata(tag).summary_description)
    return html.unescape(re.sub("<[^>]*>", "", page))


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """What a training on labels and clips with such names leaves."""
    folder = tmp_path_factory.mktemp("tensorboard")
    clips = np.random.default_rng(0).normal(0, 0.1, (6, 1600)).astype(np.float32)
    batches = tf.data.Dataset.from_tensor_slices((clips, np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1, 2]])).batch(3)
    names = [f"a$\n_{number}_\udce9" for number in range(6)]
    panels = tensorboard.ClassificationPanels(folder, batches, batches, LABELS, 8000, names=names)
    model = keras.Sequential([keras.Input((1600,)), keras.layers.Dense(3, "softmax")])
    model.compile(loss="categorical_crossentropy")
    model.fit(batches, epochs=1, callbacks=[panels], verbose=0)
    return folder


def test_descriptions_show_names_as_they_are(shown):
    assert described(shown / "train", "training_clips/1") == '"_silence_" (1.00)'
    assert described(shown / "train", "training_clips/2") == '"Ba$$in *b* <i>" (1.00)'
    assert described(shown / "train", "training_clips/3") == r'"caf\xe9" (1.00)'
    worst = described(shown / "validation", "worst_clips/1")
    assert worst.startswith('true "') and re.search(r"\na\$\\n_\d_\\xe9$", worst)


def test_pictures_of_such_names_are_shown(shown, caplog):
    assert {"confusion", "worst_spectrograms"} <= set(events(shown / "validation").Tags()["tensors"])
    assert not caplog.messages


def test_a_plot_that_could_not_be_drawn_is_shown_as_the_one_in_its_place(tmp_path):
    plots.save(plots.timeline(np.zeros(0), None, "count"), tmp_path / "test_timeline.png")
    tensorboard.write_plots(tmp_path, [tmp_path / "test_timeline.png"])
    assert "test/timeline" in events(tmp_path / "test").Tags()["tensors"]


def test_hyper_parameters_take_any_text(tmp_path):
    tensorboard.write_hyper_parameters(tmp_path, {"words": LABELS, "epochs": 3, "name": "caf\udce9"}, {"accuracy": 0.5})
    assert "accuracy" in events(tmp_path / "test").Tags()["tensors"]
