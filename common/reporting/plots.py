"""Plots for reports and dashboards. Each function returns a matplotlib figure for `save` or `to_image`.

Plotting errors are not raised, see `common.reporting.drawing`. Text is shown literally, see
`common.reporting.lettering`.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.lines import Line2D

from common import files
from common.reporting import drawing

_HALF = 0.5
# Size of a cell of a confusion matrix in inches.
_LARGEST_CELL, _SMALLEST_CELL = 0.36, 0.14
# Smallest readable font size in points.
_SMALLEST_NUMBER = 5


@drawing.guarded
def confusion(counts: pd.DataFrame, title: str = "") -> Figure:
    """Draw a confusion matrix; the colours are normalised by row.

    Args:
        counts: True labels in rows, predicted labels in columns.
        title: Title of the plot.
    """
    # Cells shrink with the number of classes, down to the smallest readable size.
    cell = np.clip(25 / max(len(counts), 1), _SMALLEST_CELL, _LARGEST_CELL)
    size = max(4.0, cell * len(counts) + 1.6 + 0.05 * _longest(counts.index))
    figure = Figure(figsize=(size + 0.6, size), layout="compressed")
    axes = figure.add_subplot()
    shares = counts.to_numpy() / np.maximum(counts.to_numpy().sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="fraction of true class", fraction=0.04, pad=0.02)
    font_size = min(10, 50 * cell)
    axes.set_xticks(range(len(counts)), counts.columns, rotation=45, ha="right", fontsize=font_size)
    axes.set_yticks(range(len(counts)), counts.index, fontsize=font_size)
    axes.set(xlabel="predicted", ylabel="true", title=title)
    font_size = 9 * cell / _LARGEST_CELL
    for row, column in np.argwhere(counts.to_numpy() > 0) if font_size >= _SMALLEST_NUMBER else ():
        color = "white" if shares[row, column] > _HALF else "black"
        axes.text(
            column,
            row,
            counts.iat[row, column],
            ha="center",
            va="center",
            color=color,
            fontsize=font_size,
            in_layout=False,
        )
    return figure


@drawing.guarded
def history(table: pd.DataFrame, names: tuple[str, ...], title: str = "") -> Figure:
    """Draw training and validation curves, one panel per quantity.

    Args:
        table: The history of the run, with a column `epoch`.
        names: Columns to draw; the validation column has the prefix `val_`.
        title: Title of the plot.
    """
    figure = Figure(figsize=(5 * len(names), 3.6), layout="constrained")
    for axes, name in zip(np.atleast_1d(figure.subplots(1, len(names))), names, strict=True):
        lines = {}
        for column, label in ((name, "training"), (f"val_{name}", "validation")):
            if column in table:
                (lines[label],) = axes.plot(table["epoch"], table[column], marker="." if len(table) < 30 else None)
        axes.set(xlabel="epoch", ylabel=name.replace("_", " "))
        axes.locator_params("x", integer=True)
        axes.grid(alpha=0.3)
        legend(axes, lines)
    figure.suptitle(title)
    return figure


@drawing.guarded
def grid(table: pd.DataFrame, marks: pd.DataFrame, marks_name: str, title: str = "") -> Figure:
    """Draw the curves of several trainings in a grid, one column per panel and one row per quantity.

    Args:
        table: Columns `panel`, `quantity`, `curve`, `epoch` and `value`; a curve with a single epoch is drawn as a dot.
        marks: Points for comparison, with the same columns; drawn as crosses in the colour of their curve.
        marks_name: Name of the crosses in the legend.
        title: Title of the plot.
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
    lines = {curve: Line2D([], [], color=f"C{number}", marker=".") for number, curve in enumerate(curves)}
    lines[marks_name] = Line2D([], [], color="black", marker="x", linestyle="")
    legend(figure, lines, loc="outside lower center", ncols=min(len(lines), 2 + len(panels)), fontsize=9)
    figure.suptitle(title)
    return figure


@drawing.guarded
def panels(table: pd.DataFrame, x_name: str | None = None, y_name: str | None = None, title: str = "") -> Figure:
    """Draw curves in panels side by side.

    Args:
        table: Columns `panel`, `curve`, `x` and `y`.
        x_name: Label of all horizontal axes; None for the name of each panel.
        y_name: Label of all vertical axes, which are then limited to 0 to 1; None for the name of each panel.
        title: Title of the plot.
    """
    names = list(dict.fromkeys(table["panel"]))
    figure = Figure(figsize=(4.6 * len(names), 3.6), layout="constrained")
    lines: list[dict[str, Artist]] = []
    for axes, name in zip(np.atleast_1d(figure.subplots(1, len(names))), names, strict=True):
        lines.append({})
        for curve, points in table[table["panel"] == name].groupby("curve", sort=False):
            (lines[-1][curve],) = axes.plot(points["x"], points["y"], marker=".")
        axes.set(xlabel=x_name or name, ylabel=y_name or name)
        if x_name == "epoch":
            axes.locator_params("x", integer=True)
        if y_name:
            axes.set(ylim=(0, 1))
        axes.grid(alpha=0.3)
    # Panels with the same curves share one legend.
    same = all(list(own) == list(lines[-1]) for own in lines)
    for axes, own in list(zip(figure.axes, lines, strict=True))[-1 if same else 0 :]:
        legend(axes, own, fontsize=8)
    figure.suptitle(title)
    return figure


@drawing.guarded
def bars(table: pd.DataFrame, quantity: str, title: str = "", *, stacked: bool = False) -> Figure:
    """Draw groups of bars.

    Args:
        table: One row per group and one column per bar; the name of the index is the label of the horizontal axis.
        quantity: Label of the vertical axis.
        title: Title of the plot.
        stacked: Whether the bars of a group are stacked instead of side by side.
    """
    figure = Figure(figsize=(max(5.0, 1.2 * len(table) + 3), 3.6), layout="constrained")
    axes = figure.add_subplot()
    width = 0.8 if stacked else 0.8 / table.shape[1]
    drawn = {}
    for number, name in enumerate(table):
        bottom = table.iloc[:, :number].sum(axis=1) if stacked else 0
        middle = 0 if stacked else width * (number - (table.shape[1] - 1) / 2)
        drawn[name] = axes.bar(np.arange(len(table)) + middle, table[name], width, bottom, color=f"C{number}")
    axes.set_xticks(range(len(table)), table.index, **_tilted(table.index))
    axes.set(ylabel=quantity, title=title, xlabel=str(table.index.name).lower())
    axes.grid(axis="y", alpha=0.3)
    ncols = 1 if table.shape[1] <= 10 else 2
    legend(axes, drawn, fontsize=8, ncols=ncols, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


@drawing.guarded
def dots(table: pd.DataFrame, group: str, series: str, value: str, quantity: str, title: str = "") -> Figure:
    """Draw every value as a dot, and the median of each series in each group as a line.

    Args:
        table: One row per value.
        group: Column of the groups on the horizontal axis.
        series: Column of the series, shown side by side in different colours within a group.
        value: Column of the values; values that are not finite are left out.
        quantity: Label of the vertical axis.
        title: Title of the plot.
    """
    groups, names = (list(dict.fromkeys(table[column])) for column in (group, series))
    figure = Figure(figsize=(max(5.0, 0.7 * len(groups) * len(names) + 3), 3.6), layout="constrained")
    axes = figure.add_subplot()
    width = 0.8 / len(names)
    for number, name in enumerate(names):
        for place, one in enumerate(groups):
            values = table.loc[(table[group] == one) & (table[series] == name), value]
            values = np.sort(values[np.isfinite(values)])
            if not len(values):
                continue
            middle = place + width * (number - (len(names) - 1) / 2)
            # Deterministic jitter separates dots of similar height.
            apart = 0.6 * width * (np.arange(len(values)) * 0.618 % 1 - 0.5)
            axes.plot(middle + apart, values, ".", color=f"C{number}", alpha=0.6)
            axes.hlines(np.median(values), middle - 0.4 * width, middle + 0.4 * width, color=f"C{number}", lw=2)
    axes.set_xticks(range(len(groups)), groups, **_tilted(groups))
    axes.set(ylabel=quantity, title=title, xlabel=group, xlim=(-0.5, len(groups) - 0.5))
    axes.grid(axis="y", alpha=0.3)
    lines = {name: Line2D([], [], color=f"C{number}", marker=".") for number, name in enumerate(names)}
    legend(axes, lines, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


@drawing.guarded
def examples(clips: dict[str, tuple[np.ndarray, np.ndarray]], sample_rate: int) -> Figure:
    """Draw waveforms, each above its spectrogram.

    Args:
        clips: For each title a waveform `(samples,)` and its spectrogram in decibels `(frames, bins)`.
        sample_rate: Sample rate in Hz.
    """
    figure = Figure(figsize=(3.2 * len(clips), 4.6), layout="constrained")
    rows = figure.subplots(2, len(clips), squeeze=False, sharex=True, height_ratios=(1, 2))
    loudest = max(highest(np.abs(waveform)) for waveform, _ in clips.values()) or 1.0
    for (title, (waveform, values_db)), upper, lower in zip(clips.items(), *rows, strict=True):
        seconds = len(waveform) / sample_rate
        upper.plot(np.arange(len(waveform)) / sample_rate, waveform, linewidth=0.5)
        upper.set(ylim=(-loudest, loudest))
        upper.set_title(title, fontsize=8)
        peak = highest(values_db)
        extent = (0, seconds, 0, sample_rate / 2000)
        lower.imshow(values_db.T, origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=peak - 80, vmax=peak)
        lower.set(xlabel="time in s")
    rows[0][0].set_ylabel("amplitude")
    rows[1][0].set_ylabel("frequency in kHz")
    return figure


@drawing.guarded
def timeline(edges: np.ndarray, curves: pd.DataFrame, quantity: str, title: str = "") -> Figure:
    """Draw integers over time as step curves.

    Args:
        edges: Boundaries of the segments in seconds, shape `(segments + 1,)`.
        curves: One column per curve, one row per segment.
        quantity: Label of the vertical axis.
        title: Title of the plot.
    """
    figure = Figure(figsize=(10, 3), layout="constrained")
    axes = figure.add_subplot()
    steps = {}
    for number, name in enumerate(curves):
        # A small offset, so that equal curves do not hide each other.
        steps[name] = axes.stairs(curves[name] + 0.04 * number, edges, baseline=None, linewidth=1.6)
    axes.set(xlim=(edges[0], edges[-1]), ylim=(-0.1, highest(curves.to_numpy()) + 0.5))
    axes.set(xlabel="time in s", ylabel=quantity, title=title)
    axes.locator_params("y", integer=True)
    axes.grid(alpha=0.3)
    legend(axes, steps, loc="upper right", ncols=3, fontsize=8)
    return figure


@drawing.guarded
def pictures(
    values_db: np.ndarray,
    titles: Sequence[str],
    hop_seconds: float,
    num_columns: int = 4,
    highest_hz: float | None = None,
    range_db: float | None = None,
    names: Sequence[str] = (),
) -> Figure:
    """Draw spectrograms in decibels as a grid with a common colour scale.

    Args:
        values_db: Shape `(spectrograms, frames, bands)`.
        titles: Title of each spectrogram.
        hop_seconds: Time between frames.
        num_columns: Number of columns of the grid.
        highest_hz: Frequency of the last bin, if the bands are bins of a Fourier transform.
        range_db: Range of the colour scale below the maximum, in dB; by default to the first percentile.
        names: Optional second title line of each spectrogram.
    """
    num_columns = min(num_columns, len(values_db))
    num_rows = -(-len(values_db) // num_columns)
    # Long clips get wide panels.
    panel_width = np.clip(0.5 * values_db.shape[1] * hop_seconds, 3.1, 12)
    width, height = 1.4 + panel_width * num_columns, 0.9 + 1.6 * num_rows
    figure = Figure(figsize=(width, height))
    # Fixed margins, since a constrained layout takes longer than all the rest, and many grids are drawn during
    # training.
    edges = {"left": 0.5 / width, "right": 1 - 0.9 / width, "bottom": 0.45 / height, "top": 1 - 0.7 / height}
    axes = figure.subplots(
        num_rows,
        num_columns,
        sharex=True,
        sharey=True,
        squeeze=False,
        gridspec_kw={**edges, "wspace": 0.08, "hspace": 0.42},
    )
    high = highest(values_db)
    low = high - range_db if range_db is not None else np.percentile(np.nan_to_num(values_db, neginf=high - 100), 1)
    for panel in axes.flat[len(values_db) :]:
        panel.set_visible(False)
    for panel, values, title, name in zip(axes.flat, values_db, titles, names or [""] * len(titles), strict=False):
        extent = (0, len(values) * hop_seconds, 0, highest_hz / 1000 if highest_hz else values.shape[1])
        image = panel.imshow(
            values.T, origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=low, vmax=max(high, low + 1)
        )
        panel.set_title(title, fontsize=8, pad=16 if name else None)
        panel.text(0.5, 1.05, name, fontsize=8, ha="center", transform=panel.transAxes)
        panel.tick_params(labelsize=8)
    for panel in axes[-1]:
        panel.set_xlabel("time in s", fontsize=8)
    for panel in axes[:, 0]:
        panel.set_ylabel("kHz" if highest_hz else "band", fontsize=8)
    colours = (1 - 0.75 / width, edges["bottom"], 0.15 / width, edges["top"] - edges["bottom"])
    figure.colorbar(image, cax=figure.add_axes(colours), label="dB")
    return figure


def highest(values: np.ndarray) -> float:
    """Return the highest of the finite values; 0 if there is none."""
    finite = values[np.isfinite(values)]
    return float(finite.max()) if finite.size else 0.0


def _longest(names: Iterable[object]) -> int:
    """Return the number of letters of the longest name, at most 40."""
    return min(40, max((len(str(name)) for name in names), default=0))


def _tilted(names: Iterable[object]) -> dict:
    """Return options that rotate long tick labels, so that they do not overlap."""
    return {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if _longest(names) > 12 else {}


def legend(owner: Axes | Figure, handles: Mapping[str, Artist], **options: object) -> None:
    """Add a legend; by default, matplotlib omits names that start with an underscore."""
    if handles:
        drawn = owner.legend(list(handles.values()), [" "] * len(handles), **options)
        for text, name in zip(drawn.get_texts(), handles, strict=True):
            text.set_text(name)


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as PNG, atomically.

    Raises:
        UserError: The file cannot be written. Plotting errors are not raised, but shown in the image and logged.
    """
    canvas = drawing.render(figure, str(path), 110)
    with files.atomic_path(path) as temporary:
        imsave(temporary, canvas.buffer_rgba(), format="png", origin="upper", dpi=canvas.figure.dpi)


def to_image(figure: Figure) -> np.ndarray:
    """Render a figure to pixels for `tf.summary.image`, shape `(1, height, width, 3)` uint8.

    After a plotting error, the image shows the error message.
    """
    return np.asarray(drawing.render(figure, "for TensorBoard", 100).buffer_rgba())[None, :, :, :3].copy()
