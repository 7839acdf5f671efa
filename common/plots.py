"""Pictures for reports and dashboards. Each function returns a matplotlib figure; `save` and `to_image` use it up."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from common import files

_HALF = 0.5


def confusion(counts: pd.DataFrame, title: str = "") -> Figure:
    """Draw a confusion matrix, each row coloured by its shares.

    Args:
        counts: True labels in rows, predicted ones in columns.
        title: Stands above.
    """
    size = max(4.0, 0.42 * len(counts) + 1.6)
    figure = Figure(figsize=(size + 0.8, size), layout="constrained")
    axes = figure.add_subplot()
    shares = counts.to_numpy() / np.maximum(counts.to_numpy().sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    axes.set_xticks(range(len(counts)), counts.columns, rotation=45, ha="right")
    axes.set_yticks(range(len(counts)), counts.index)
    axes.set(xlabel="predicted", ylabel="true", title=title)
    for row, column in np.argwhere(counts.to_numpy() > 0):
        color = "white" if shares[row, column] > _HALF else "black"
        axes.text(column, row, counts.iat[row, column], ha="center", va="center", color=color, fontsize=9)
    return figure


def roc(
    curves: dict[str, pd.DataFrame],
    title: str = "",
    labels: tuple[str, str] = ("false positive rate", "true positive rate"),
    marks: Sequence[tuple[float, float]] = (),
) -> Figure:
    """Draw ROC curves with a logarithmic axis of false positives, where a spotter lives.

    Args:
        curves: A table from `common.metrics.roc` for each name.
        title: Stands above.
        labels: What the axes are called.
        marks: Points to mark, false and true positive rate.
    """
    figure = Figure(figsize=(6.5, 5), layout="constrained")
    axes = figure.add_subplot()
    for number, (name, curve) in enumerate(curves.items()):
        style = "-" if number < 10 else "--"
        name = name.strip("_")  # matplotlib leaves names that begin with an underscore out of the legend
        axes.step(curve["false_positive_rate"], curve["true_positive_rate"], style, where="post", label=name)
    for false_positive_rate, true_positive_rate in marks:
        axes.plot(false_positive_rate, true_positive_rate, "ko", markersize=4)
    axes.set_xscale("symlog", linthresh=1e-3)
    axes.set(xlim=(0, 1), ylim=(0, 1.01), xlabel=labels[0], ylabel=labels[1], title=title)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="lower right", ncols=2)
    return figure


def history(table: pd.DataFrame, names: tuple[str, ...], title: str = "") -> Figure:
    """Draw training and validation curves side by side, one panel a quantity.

    Args:
        table: The run's history, with a column `epoch`.
        names: Columns to draw; `val_` before one gives its validation column.
        title: Stands above.
    """
    figure = Figure(figsize=(5 * len(names), 3.6), layout="constrained")
    for axes, name in zip(np.atleast_1d(figure.subplots(1, len(names))), names, strict=True):
        for column, label in ((name, "training"), (f"val_{name}", "validation")):
            if column in table:
                axes.plot(table["epoch"], table[column], marker="." if len(table) < 30 else None, label=label)
        axes.set(xlabel="epoch", ylabel=name.replace("_", " "))
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(title)
    return figure


def grid(table: pd.DataFrame, marks: pd.DataFrame, marks_name: str, title: str = "") -> Figure:
    """Draw the curves of several trainings: a column of panels each, a row a quantity, and points to compare with.

    Args:
        table: Columns `panel`, `quantity`, `curve`, `epoch` and `value`; a curve of one epoch is drawn as a dot.
        marks: The same columns; drawn as crosses in the colour of their curve.
        marks_name: What the crosses are called.
        title: Stands above.
    """
    panels, quantities, curves = (list(dict.fromkeys(table[name])) for name in ("panel", "quantity", "curve"))
    size = (max(7.0, 2.6 * len(panels)), 2.6 * len(quantities) + 1)
    figure = Figure(figsize=size, layout="constrained")
    rows = figure.subplots(len(quantities), len(panels), sharex="col", sharey="row", squeeze=False)
    for quantity, row in zip(quantities, rows, strict=True):
        for panel, axes in zip(panels, row, strict=True):
            for number, curve in enumerate(curves):
                for source, style in ((table, "-"), (marks, "x")):
                    points = source[
                        (source["panel"] == panel) & (source["quantity"] == quantity) & (source["curve"] == curve)
                    ]
                    style = "." if style == "-" and len(points) == 1 else style
                    axes.plot(points["epoch"], points["value"], style, color=f"C{number}", markersize=8)
            axes.grid(alpha=0.3)
        row[0].set_ylabel(quantity)
    for panel, top, bottom in zip(panels, rows[0], rows[-1], strict=True):
        top.set_title(panel, fontsize=10)
        bottom.set_xlabel("epoch")
        bottom.locator_params("x", integer=True)
    handles = [Line2D([], [], color=f"C{number}", marker=".", label=curve) for number, curve in enumerate(curves)]
    handles.append(Line2D([], [], color="black", marker="x", linestyle="", label=marks_name))
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 2 + len(panels)), fontsize=9)
    figure.suptitle(title)
    return figure


def spectrogram(values_db: np.ndarray, hop_seconds: float, highest_hz: float, title: str = "") -> Figure:
    """Draw a spectrogram in decibels.

    Args:
        values_db: Shape `(frames, bins)`.
        hop_seconds: Time between frames.
        highest_hz: Frequency of the last bin.
        title: Stands above.
    """
    figure = Figure(figsize=(5, 2.8), layout="constrained")
    axes = figure.add_subplot()
    extent = (0, len(values_db) * hop_seconds, 0, highest_hz / 1000)
    peak = float(values_db.max())
    image = axes.imshow(
        values_db.T, origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=peak - 80, vmax=peak
    )
    figure.colorbar(image, ax=axes, label="dB")
    axes.set(xlabel="time in s", ylabel="frequency in kHz", title=title)
    return figure


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    with files.atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110)


def to_image(figure: Figure) -> np.ndarray:
    """Render a figure to pixels, shape `(1, height, width, 3)` uint8, as `tf.summary.image` takes them."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[None, :, :, :3].copy()
