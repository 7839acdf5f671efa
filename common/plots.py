"""Pictures for reports and dashboards. Each function returns a matplotlib figure; `save` and `to_image` use it up."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
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


def panels(table: pd.DataFrame, x_name: str | None = None, y_name: str | None = None, title: str = "") -> Figure:
    """Draw curves side by side, in panels.

    Args:
        table: Columns `panel`, `curve`, `x` and `y`.
        x_name: What all horizontal axes are called; None if each is called what its panel is.
        y_name: The same for the vertical axes, which then are shares from 0 to 1.
        title: Stands above.
    """
    names = list(dict.fromkeys(table["panel"]))
    figure = Figure(figsize=(4.6 * len(names), 3.6), layout="constrained")
    for axes, name in zip(np.atleast_1d(figure.subplots(1, len(names))), names, strict=True):
        for curve, points in table[table["panel"] == name].groupby("curve", sort=False):
            axes.plot(points["x"], points["y"], marker=".", label=curve)
        axes.set(xlabel=x_name or name, ylabel=y_name or name)
        if y_name:
            axes.set(ylim=(0, 1))
        axes.grid(alpha=0.3)
    curves = [axes.get_legend_handles_labels()[1] for axes in figure.axes]
    # Panels with the same curves share one legend.
    for axes in figure.axes if any(own != curves[-1] for own in curves) else figure.axes[-1:]:
        axes.legend(fontsize=8)
    figure.suptitle(title)
    return figure


def bars(table: pd.DataFrame, quantity: str, title: str = "", *, stacked: bool = False) -> Figure:
    """Draw groups of bars.

    Args:
        table: A row a group, whose index is called what the horizontal axis is, a column a bar.
        quantity: What the vertical axis is called.
        title: Stands above.
        stacked: Whether the bars of a group stand on one another; else side by side.
    """
    figure = Figure(figsize=(max(5.0, 1.2 * len(table) + 3), 3.6), layout="constrained")
    axes = figure.add_subplot()
    table.plot.bar(ax=axes, stacked=stacked, rot=0, width=0.8)
    axes.set(ylabel=quantity, title=title, xlabel=str(table.index.name).lower())
    axes.grid(axis="y", alpha=0.3)
    axes.legend(fontsize=8, ncols=1 if table.shape[1] <= 10 else 2, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def dots(table: pd.DataFrame, group: str, series: str, value: str, quantity: str, title: str = "") -> Figure:
    """Draw every value as a dot, with the median of each series in each group as a line.

    Args:
        table: A row a value.
        group: The column that the horizontal axis is divided by.
        series: The column that stands side by side, in colours, within a group.
        value: The column of the values; those that are not finite are left out.
        quantity: What the vertical axis is called.
        title: Stands above.
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
            # Neighbours in height stand apart, each always at the same place.
            apart = 0.6 * width * (np.arange(len(values)) * 0.618 % 1 - 0.5)
            axes.plot(middle + apart, values, ".", color=f"C{number}", alpha=0.6)
            axes.hlines(np.median(values), middle - 0.4 * width, middle + 0.4 * width, color=f"C{number}", lw=2)
    axes.set_xticks(range(len(groups)), groups)
    axes.set(ylabel=quantity, title=title, xlabel=group, xlim=(-0.5, len(groups) - 0.5))
    axes.grid(axis="y", alpha=0.3)
    handles = [Line2D([], [], color=f"C{number}", marker=".", label=name) for number, name in enumerate(names)]
    axes.legend(handles=handles, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def examples(clips: dict[str, tuple[np.ndarray, np.ndarray]], sample_rate: int) -> Figure:
    """Draw waveforms, each above its spectrogram.

    Args:
        clips: By title a waveform `(samples,)` and its decibels `(frames, bins)`.
        sample_rate: In hertz.
    """
    figure = Figure(figsize=(3.2 * len(clips), 4.6), layout="constrained")
    rows = figure.subplots(2, len(clips), squeeze=False, sharex=True, height_ratios=(1, 2))
    loudest = max(float(np.abs(waveform).max()) for waveform, _ in clips.values()) or 1.0
    for (title, (waveform, values_db)), upper, lower in zip(clips.items(), *rows, strict=True):
        seconds = len(waveform) / sample_rate
        upper.plot(np.arange(len(waveform)) / sample_rate, waveform, linewidth=0.5)
        upper.set(ylim=(-loudest, loudest))
        upper.set_title(title, fontsize=8)
        peak = float(values_db.max())
        extent = (0, seconds, 0, sample_rate / 2000)
        lower.imshow(values_db.T, origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=peak - 80, vmax=peak)
        lower.set(xlabel="time in s")
    rows[0][0].set_ylabel("amplitude")
    rows[1][0].set_ylabel("frequency in kHz")
    return figure


def waveforms(clips: np.ndarray, titles: Sequence[str], right: np.ndarray, title: str = "") -> Figure:
    """Draw a grid of waveforms, eight in a row, those that were answered wrongly in red.

    Args:
        clips: Shape `(clips, samples)`.
        titles: Stand above each.
        right: Whether each was answered rightly, shape `(clips,)`.
        title: Stands above all.
    """
    num_rows = -(-len(clips) // 8)
    figure = Figure(figsize=(14, 1.3 * num_rows + 0.5), layout="constrained")
    panels = figure.subplots(num_rows, 8, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, clip, name, good in zip(panels, clips, titles, right, strict=False):
        axes.plot(clip, linewidth=0.4, color="C0" if good else "C3")
        axes.set_title(name, fontsize=8, color="black" if good else "C3")
    figure.suptitle(title)
    return figure


def timeline(edges: np.ndarray, curves: pd.DataFrame, quantity: str, title: str = "") -> Figure:
    """Draw whole numbers that change over time, as steps.

    Args:
        edges: Where stretches begin and the last one ends, in seconds, shape `(stretches + 1,)`.
        curves: A column a curve, a row a stretch.
        quantity: What the vertical axis is called.
        title: Stands above.
    """
    figure = Figure(figsize=(10, 3), layout="constrained")
    axes = figure.add_subplot()
    for number, name in enumerate(curves):
        # A little apart, so that equal curves do not hide one another.
        axes.stairs(curves[name] + 0.04 * number, edges, baseline=None, linewidth=1.6, label=name)
    axes.set(xlim=(edges[0], edges[-1]), ylim=(-0.1, curves.to_numpy().max() + 0.5))
    axes.set(xlabel="time in s", ylabel=quantity, title=title)
    axes.locator_params("y", integer=True)
    axes.grid(alpha=0.3)
    axes.legend(loc="upper right", ncols=3, fontsize=8)
    return figure


def pictures(
    values_db: np.ndarray,
    titles: Sequence[str],
    hop_seconds: float,
    num_columns: int = 4,
    highest_hz: float | None = None,
    range_db: float | None = None,
) -> Figure:
    """Draw spectrograms in decibels as a grid, all in one scale of colours.

    Args:
        values_db: Shape `(pictures, frames, bands)`.
        titles: One a picture.
        hop_seconds: Time between frames.
        num_columns: Pictures side by side.
        highest_hz: Frequency of the last bin, where bands are the bins of a Fourier transform.
        range_db: How far below the loudest of all the colours reach; to the first percentile unless given.
    """
    num_columns = min(num_columns, len(values_db))
    num_rows = -(-len(values_db) // num_columns)
    # What lasts long is drawn wide.
    panel_width = np.clip(0.5 * values_db.shape[1] * hop_seconds, 3.1, 12)
    width, height = 1.4 + panel_width * num_columns, 0.9 + 1.6 * num_rows
    figure = Figure(figsize=(width, height))
    # Many are drawn while a model trains: a layout that is worked out anew takes longer than all the rest.
    edges = {"left": 0.5 / width, "right": 1 - 0.9 / width, "bottom": 0.45 / height, "top": 1 - 0.7 / height}
    axes = figure.subplots(
        num_rows,
        num_columns,
        sharex=True,
        sharey=True,
        squeeze=False,
        gridspec_kw={**edges, "wspace": 0.08, "hspace": 0.42},
    )
    high = float(values_db.max())
    low = np.percentile(values_db, 1) if range_db is None else high - range_db
    for panel in axes.flat[len(values_db) :]:
        panel.set_visible(False)
    for panel, values, title in zip(axes.flat, values_db, titles, strict=False):
        extent = (0, len(values) * hop_seconds, 0, highest_hz / 1000 if highest_hz else values.shape[1])
        image = panel.imshow(
            values.T, origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=low, vmax=max(high, low + 1)
        )
        panel.set_title(title, fontsize=8)
        panel.tick_params(labelsize=8)
    for panel in axes[-1]:
        panel.set_xlabel("time in s", fontsize=8)
    for panel in axes[:, 0]:
        panel.set_ylabel("kHz" if highest_hz else "band", fontsize=8)
    colours = (1 - 0.75 / width, edges["bottom"], 0.15 / width, edges["top"] - edges["bottom"])
    figure.colorbar(image, cax=figure.add_axes(colours), label="dB")
    return figure


def separations(
    mixture: np.ndarray,
    rows: Sequence[tuple[str, Sequence[np.ndarray]]],
    hop_seconds: float,
    highest_hz: float,
    title: str = "",
) -> Figure:
    """Draw a mixture's spectrogram, and in a row for each stem the true one, the estimate and the mask between.

    Args:
        mixture: Magnitudes, shape `(frames, bins)`.
        rows: For each stem its name, its magnitudes, the estimated ones, and the mask in [0, 1].
        hop_seconds: Time between frames.
        highest_hz: Frequency of the last bin.
        title: Stands above.
    """
    height = 2.0 * len(rows) + 1.0
    figure = Figure(figsize=(13, height))
    # As in `pictures`, a layout of fixed margins. Of seven columns two are bars of colours, and one keeps their labels apart.
    cells = figure.add_gridspec(
        nrows=len(rows),
        ncols=7,
        width_ratios=(1, 1, 1, 0.05, 0.14, 1, 0.05),
        wspace=0.14,
        hspace=0.25,
        left=0.05,
        right=0.96,
        bottom=0.5 / height,
        top=1 - 0.6 / height,
    )
    extent = (0, len(mixture) * hop_seconds, 0, highest_hz / 1000)
    peak = 20 * np.log10(max(mixture.max(), 1e-5))

    def draw(row: int, column: int, values: np.ndarray, name: str, **colours) -> AxesImage:
        panel = figure.add_subplot(cells[row, column])
        panel.set_title(name, fontsize=9)
        panel.tick_params(labelsize=8)
        if row == len(rows) - 1:
            panel.set_xlabel("time in s", fontsize=8)
        else:
            panel.set_xticks([])
        if column == 0:
            panel.set_ylabel("frequency in kHz", fontsize=8)
        else:
            panel.set_yticks([])
        return panel.imshow(values.T, origin="lower", aspect="auto", extent=extent, **colours)

    for row, (name, (true, estimated, mask)) in enumerate(rows):
        for column, values, caption in (
            (0, mixture, "mixture"),
            (1, true, f"{name}, true"),
            (2, estimated, f"{name}, estimated"),
        ):
            decibels = 20 * np.log10(np.maximum(values, 1e-5))
            loudness = draw(row, column, decibels, caption, cmap="magma", vmin=peak - 80, vmax=peak)
        share = draw(row, 5, mask, f"{name}, estimate / mixture", cmap="viridis", vmin=0, vmax=1)
    for column, image, label in ((3, loudness, "dB"), (6, share, "")):
        figure.colorbar(image, cax=figure.add_subplot(cells[:, column]), label=label).ax.tick_params(labelsize=8)
    figure.suptitle(title)
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
