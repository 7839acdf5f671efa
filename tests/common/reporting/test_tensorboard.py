import html
import re

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.plugin_util import markdown_to_safe_html
from tensorboard.plugins.hparams import plugin_data_pb2

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
    clips[5] = clips[0]  # under another label: one of them is a mistake whatever is learnt
    batches = tf.data.Dataset.from_tensor_slices((clips, np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1, 2]])).batch(3)
    names = [f"a$\n_{number}_\udce9" for number in range(6)]
    panels = tensorboard.ClassificationPanels(folder, batches, batches, LABELS, 8000, names=names)
    model = keras.Sequential([keras.Input((1600,)), keras.layers.Dense(3, "softmax")])
    model.compile(loss="categorical_crossentropy")
    model.fit(batches, epochs=3, callbacks=[panels], verbose=0)
    return folder


def steps(folder, tag):
    """The steps at which TensorBoard shows a tag."""
    return [event.step for event in events(folder).Tensors(tag)]


def tags(folder):
    return events(folder).Tags()["tensors"]


def test_training_clips_are_called_after_their_labels(shown):
    assert described(shown / "train", "training/clip 1: _silence_") == '"_silence_" (1.00), augmented'
    assert described(shown / "train", "training/clip 2: Ba$$in *b* <i>") == '"Ba$$in *b* <i>" (1.00), augmented'
    assert described(shown / "train", r"training/clip 3: caf\xe9") == r'"caf\xe9" (1.00), augmented'
    assert steps(shown / "train", "clips/training") == [1]


def test_the_worst_clips_are_called_after_their_files_and_are_those_of_the_last_epoch(shown):
    cards = [tag for tag in tags(shown / "validation") if tag.startswith("clips/worst ")]
    assert len(cards) == 6
    assert [card.split(":")[0] for card in cards] == [f"clips/worst {rank}" for rank in range(1, 7)]
    assert all(re.search(r"a\$\\n_\d_\\xe9$", card) for card in cards)
    assert any("taken for" in card for card in cards)
    for card in cards:
        assert steps(shown / "validation", card) == [3]
        assert described(shown / "validation", card).startswith('validation, epoch 3: true "')


def test_a_table_has_the_worst_clips_of_every_update(shown):
    tables = events(shown / "validation").Tensors("clips/worst_table")
    assert [event.step for event in tables] == [1, 2, 3]
    (markdown,) = tables[-1].tensor_proto.string_val
    page = markdown_to_safe_html(markdown.decode())
    cells = [html.unescape(cell) for cell in re.findall("<td>(.*?)</td>", page)]
    assert len(cells) == 3 * 6
    assert re.fullmatch(r"a\$\\n_\d_\\xe9", cells[0]) and re.fullmatch(r".* \(0\.\d\d\)", cells[1])


def test_pictures_of_such_names_are_shown(shown, caplog):
    assert {"evaluation/confusion", "clips/worst"} <= set(tags(shown / "validation"))
    assert steps(shown / "validation", "evaluation/confusion") == [1, 2, 3]
    assert not caplog.messages


def test_curves_tell_training_from_validation_and_leave_out_what_is_no_number(tmp_path):
    curves = tensorboard.Curves(tmp_path, watched=("coverage",))
    curves.on_train_begin()
    logs = {"loss": 1.0, "val_loss": 2.0, "learning_rate": 0.1, "coverage": float("nan")}
    curves.on_epoch_end(0, logs)
    curves.on_epoch_end(1, logs | {"coverage": 0.5})
    assert tags(tmp_path / "train") == ["curves/loss", "training/learning_rate"]
    assert tags(tmp_path / "validation") == ["curves/loss", "evaluation/coverage"]
    assert steps(tmp_path / "train", "curves/loss") == [1, 2]
    assert steps(tmp_path / "validation", "evaluation/coverage") == [2]


def values(folder, tag):
    return [tf.make_ndarray(event.tensor_proto).item() for event in events(folder).Tensors(tag)]


def test_a_resumed_training_replaces_what_the_interrupted_one_showed(tmp_path):
    tensorboard.resume(tmp_path, 0)  # of a new run there is nothing
    assert not list(tmp_path.iterdir())
    for begin, loss in ((0, 1.0), (1, 2.0), (2, 3.0)):  # twice killed before an epoch was backed up
        tensorboard.resume(tmp_path, begin)
        curves = tensorboard.Curves(tmp_path)
        curves.on_train_begin()
        for epoch in range(begin, begin + 2):
            curves.on_epoch_end(epoch, {"loss": loss})
    assert steps(tmp_path / "train", "curves/loss") == [1, 2, 3, 4]
    assert values(tmp_path / "train", "curves/loss") == [1.0, 2.0, 3.0, 3.0]


def test_an_evaluation_replaces_the_one_before(tmp_path):
    plots.save(plots.timeline(np.arange(3.0), pd.DataFrame({"all": [1, 2]}), "count"), tmp_path / "test_timeline.png")
    for accuracy in (0.5, 0.75):
        tensorboard.write_evaluation(tmp_path, {"accuracy": accuracy}, [tmp_path / "test_timeline.png"], 7)
    assert values(tmp_path / "test", "evaluation/accuracy") == [0.75]
    assert steps(tmp_path / "test", "evaluation/timeline") == [7]


def test_a_plot_that_could_not_be_drawn_is_shown_as_the_one_in_its_place(tmp_path):
    plots.save(plots.timeline(np.zeros(0), None, "count"), tmp_path / "test_timeline.png")
    tensorboard.write_evaluation(tmp_path, {}, [tmp_path / "test_timeline.png"], 1)
    assert "evaluation/timeline" in tags(tmp_path / "test")


def session(folder):
    """The hyper-parameters and the name that the HPARAMS page has of a run."""
    content = events(folder).SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    start = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info
    shown = {name: value.string_value or value.number_value for name, value in start.hparams.items()}
    return shown, start.group_name


def test_hyper_parameters_are_those_that_differ_from_the_variant(tmp_path):
    base = {"model": "lstm", "epochs": 3, "words": (), "noise_dir": "", "seed": 0}
    config = {"model": "crnn", "epochs": 3, "words": LABELS, "noise_dir": "/home/ann/noise", "seed": 1}
    tensorboard.write_hyper_parameters(tmp_path / "runs/kws/a/tensorboard", "default", base, config)
    shown, name = session(tmp_path / "runs/kws/a/tensorboard/test")
    words = r"_silence_,Ba$$in *b* <i>,caf\xe9"
    assert shown == {"Model": "crnn", "Variant": "default", "words": words, "noise_dir": "noise", "seed": 1}
    assert name == "kws/a"
