import numpy as np
import pandas as pd
from matplotlib import image

from common import metrics, plots


def test_a_confusion_matrix_shows_every_count():
    counts = metrics.confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), ("yes", "no"))
    figure = plots.confusion(counts, "title")
    axes = figure.axes[0]
    assert sorted(text.get_text() for text in axes.texts) == ["1", "1", "1"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["yes", "no"]
    assert axes.get_ylabel() == "true"


def test_roc_draws_a_curve_a_name(rng):
    targets = rng.integers(0, 2, 50).astype(bool)
    curve = metrics.roc(targets, rng.uniform(size=50))
    axes = plots.roc({"a": curve, "_silence_": curve}).axes[0]
    assert len(axes.lines) == 2
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "silence"]


def test_history_draws_training_beside_validation(tmp_path):
    table = pd.DataFrame({"epoch": [1, 2], "loss": [1.0, 0.5], "val_loss": [1.1, 0.7], "accuracy": [0.4, 0.6]})
    figure = plots.history(table, ("loss", "accuracy"))
    assert [len(axes.lines) for axes in figure.axes] == [2, 1]
    plots.save(figure, tmp_path / "history.png")
    assert image.imread(tmp_path / "history.png").shape[2] == 4


def test_a_grid_has_a_panel_for_each_training_and_quantity_with_marks():
    rows = [
        {"panel": panel, "quantity": quantity, "curve": "training", "epoch": epoch, "value": epoch / 10}
        for panel in ("short", "long")
        for quantity in ("loss", "accuracy")
        for epoch in range(1, 4)
    ]
    rows.append({"panel": "long", "quantity": "loss", "curve": "test", "epoch": 3, "value": 0.7})
    marks = pd.DataFrame([{"panel": "long", "quantity": "loss", "curve": "training", "epoch": 3, "value": 0.9}])
    figure = plots.grid(pd.DataFrame(rows), marks, "published")
    drawn = [[line.get_ydata().tolist() for line in axes.lines if len(line.get_ydata())] for axes in figure.axes]
    curve = [0.1, 0.2, 0.3]
    assert drawn == [[curve], [curve, [0.9], [0.7]], [curve], [curve]]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["training", "test", "published"]


def test_dots_show_every_finite_value_and_its_median():
    table = pd.DataFrame(
        {
            "stem": ["vocals"] * 4 + ["drums"] * 2,
            "estimator": ["model", "model", "model", "ideal"] + ["model", "ideal"],
            "sdr": [1.0, 9.0, 2.0, 12.0, np.nan, 11.0],
        }
    )
    axes = plots.dots(table, "stem", "estimator", "sdr", "SDR in dB").axes[0]
    assert [line.get_ydata().tolist() for line in axes.lines] == [[1, 2, 9], [12], [11]]
    medians = [lines.get_segments()[0][0, 1] for lines in axes.collections]
    assert medians == [2, 12, 11]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["model", "ideal"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["vocals", "drums"]


def test_a_figure_becomes_the_pixels_of_an_image_summary():
    pixels = plots.to_image(plots.pictures(np.linspace(-90, 0, 200).reshape(1, 20, 10), ["a"], 0.01))
    assert pixels.shape[0] == 1
    assert pixels.shape[3] == 3
    assert pixels.dtype == np.uint8
    assert pixels.std() > 0


def test_a_separation_is_a_row_a_stem(rng):
    mixture = rng.uniform(size=(20, 30))
    rows = [(name, [mixture, mixture / 2, np.full((20, 30), 0.5)]) for name in ("vocals", "drums")]
    figure = plots.separations(mixture, rows, 0.01, 4000)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == [
        *("mixture", "vocals, true", "vocals, estimated", "vocals, estimate / mixture"),
        *("mixture", "drums, true", "drums, estimated", "drums, estimate / mixture"),
    ]
    assert plots.to_image(figure).shape[-1] == 3
