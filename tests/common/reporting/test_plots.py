import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib import image

from common.reporting import metrics, plots, roc


def test_a_confusion_matrix_shows_every_count():
    counts = metrics.confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), ("yes", "no"))
    figure = plots.confusion(counts, "title")
    axes = figure.axes[0]
    assert sorted(text.get_text() for text in axes.texts) == ["1", "1", "1"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["yes", "no"]
    assert axes.get_ylabel() == "true"


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


NAMES = ["Ba$$in", "A$AP_{", "100%", "_silence_", "caf\udce9", "a\nb", "你好", r"\frac{^"]


def titled(rng):
    """Every kind of picture, with names that matplotlib would take for something else."""
    curve = pd.DataFrame({"false_positive_rate": [0, 0.1, 1], "true_positive_rate": [0, 0.9, 1]})
    counts = pd.DataFrame(rng.integers(0, 9, (len(NAMES), len(NAMES))), NAMES, NAMES)
    points = [(panel, name, x, x) for panel in NAMES[:2] for name in NAMES for x in range(3)]
    points = pd.DataFrame(points, columns=["panel", "curve", "x", "y"])
    epochs = points.rename(columns={"x": "epoch", "y": "value"}).assign(quantity="lo$$ss")
    history = pd.DataFrame({"epoch": [1, 2], "a$_$b": [1.0, 0.5], "val_a$_$b": [1.1, 0.7]})
    spectrograms = rng.normal(-40, 20, (len(NAMES), 20, 10))
    dots = pd.DataFrame({"group": NAMES * 2, "series": sorted(NAMES * 2), "value": rng.normal(size=2 * len(NAMES))})
    clips = {name: (rng.normal(size=100), rng.normal(size=(10, 20))) for name in NAMES}
    title = "runs/ca$$h_{"
    return {
        "confusion": plots.confusion(counts, title),
        "roc": roc.draw(dict.fromkeys(NAMES, curve), title, ("$a", "_b$^"), [(0.1, 0.9)]),
        "history": plots.history(history, ("a$_$b",), title),
        "grid": plots.grid(epochs, epochs[:1], "_$mar$ks", title),
        "panels": plots.panels(points, title=title),
        "bars": plots.bars(counts, "quan$ti$ty", title),
        "stacked": plots.bars(counts, "quan$ti$ty", title, stacked=True),
        "dots": plots.dots(dots, "group", "series", "value", "quan$ti$ty", title),
        "timeline": plots.timeline(np.arange(4.0), pd.DataFrame(dict.fromkeys(NAMES, [1, 2, 3])), "$x$_{", title),
        "pictures": plots.pictures(spectrograms, NAMES, 0.1, names=NAMES),
        "examples": plots.examples(clips, 8000),
    }


@pytest.mark.slow
def test_every_picture_is_drawn_whatever_the_names_are(rng, tmp_path, caplog):
    for name, figure in titled(rng).items():
        plots.save(figure, tmp_path / f"{name}.png")
        assert image.imread(tmp_path / f"{name}.png").std() > 0
    assert not [line for line in caplog.messages if "could not be drawn" in line]


@pytest.mark.parametrize("kind", ["timeline", "dots", "bars"])
def test_a_legend_has_every_name(kind, rng):
    names = [text.get_text() for text in titled(rng)[kind].axes[0].get_legend().get_texts()]
    assert sorted(names) == sorted(NAMES)


def test_a_long_name_of_a_clip_stands_below_its_title(rng):
    figure = plots.pictures(rng.normal(size=(2, 20, 10)), ["a", "b"], 0.1, names=["n" * 300, "m"])
    plots.to_image(figure)
    assert [axes.get_title() for axes in figure.axes[:2]] == ["a", "b"]
    names = [axes.texts[0].get_text() for axes in figure.axes[:2]]
    assert names[1] == "m" and "…" in names[0] and len(names[0]) < 80


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_left_out_and_the_rest_is_drawn(bad, rng, caplog):
    clip, spectrogram = rng.normal(size=100), rng.normal(size=(20, 10))
    clip[3], spectrogram[2, 2] = bad, bad
    history = pd.DataFrame({"epoch": [1, 2, 3], "loss": [1.0, bad, 0.5], "val_loss": [bad] * 3})
    figures = [
        plots.history(history, ("loss",)),
        plots.pictures(np.stack([spectrogram, np.full_like(spectrogram, bad)]), ["a", "b"], 0.1),
        plots.examples({"a": (clip, spectrogram), "b": (np.full(100, bad), np.full((20, 10), bad))}, 8000),
        plots.timeline(np.arange(4.0), pd.DataFrame({"a": [1, bad, 2]}), "count"),
        plots.confusion(pd.DataFrame(np.zeros((2, 2), int), list("ab"), list("ab"))),
    ]
    for figure in figures:
        assert plots.to_image(figure).std() > 0
    assert not caplog.messages


def test_nothing_to_draw_is_still_a_picture(tmp_path):
    empty = pd.DataFrame({"panel": [], "curve": [], "x": [], "y": []})
    for number, figure in enumerate(
        [
            plots.confusion(pd.DataFrame()),
            roc.draw({}),
            plots.history(pd.DataFrame({"epoch": []}), ("loss",)),
            plots.panels(empty),
            plots.bars(pd.DataFrame(), "mixtures"),
            plots.pictures(np.zeros((0, 0, 0)), [], 0.1),
            plots.examples({}, 8000),
            plots.timeline(np.zeros(0), pd.DataFrame(), "count"),
        ]
    ):
        plots.save(figure, tmp_path / f"{number}.png")
        assert image.imread(tmp_path / f"{number}.png").ndim == 3


def test_five_hundred_classes_fit_into_a_picture_and_twelve_keep_their_numbers():
    for number, has_numbers in ((12, True), (500, False)):
        names = [f"word {index}" for index in range(number)]
        figure = plots.confusion(pd.DataFrame(np.eye(number, dtype=int), names, names))
        assert len(figure.axes[0].get_yticklabels()) == number
        assert bool(figure.axes[0].texts) == has_numbers
        assert max(figure.get_size_inches()) < 80


def test_a_picture_can_have_any_name_that_a_file_can(tmp_path):
    for name in ("caf\udce9.png", "a\nb$$.png", "你" * 83 + ".png"):
        plots.save(roc.draw({}), tmp_path / name)
        assert (tmp_path / name).stat().st_size > 0


def test_settings_of_a_library_user_stay_and_do_no_harm(caplog):
    with matplotlib.rc_context({"image.origin": "lower", "text.usetex": True, "text.parse_math": True}):
        settings = dict(matplotlib.rcParams)
        assert plots.to_image(plots.confusion(pd.DataFrame([[1]], ["a$"], ["_b"]), "$")).std() > 0
        assert dict(matplotlib.rcParams) == settings
    assert not caplog.messages
