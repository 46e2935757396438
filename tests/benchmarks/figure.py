"""The rates as a picture: grouped bars on a logarithmic scale. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot

OURS = "nina_smtp"
OUR_COLOURS = ("#0b4f9e", "#3f86d6", "#9cc4ee")
THEIR_COLOURS = ("#d9662b", "#8a8f98", "#b4b8be", "#5c6169", "#e2ddd2")
INK, GRID = "#24282d", "#e4e6e9"
WIDTH = 0.84  # of a group of bars


def draw(rates: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """``rates`` has messages a second by line and side; every line becomes a group of bars."""
    sides = list(dict.fromkeys(side for line in rates.values() for side in line))
    ours, theirs = iter(OUR_COLOURS), iter(THEIR_COLOURS)
    colours = {side: next(ours if side.startswith(OURS) else theirs, INK) for side in sides}
    figure, axes = pyplot.subplots(figsize=(11, 5.6), layout="constrained")
    each = WIDTH / len(sides)
    for number, side in enumerate(sides):
        places = [group - WIDTH / 2 + (number + 0.5) * each for group in range(len(rates))]
        heights = [line.get(side, 0) for line in rates.values()]
        bars = axes.bar(places, heights, each * 0.92, label=side, color=colours[side])
        shown = [f"{height:,.0f}" if height else "" for height in heights]
        axes.bar_label(bars, shown, rotation=90, padding=3, fontsize=8, color=INK)
    axes.set_yscale("log")
    highest = max(max(line.values()) for line in rates.values())
    axes.set_ylim(1, highest * 8)  # room for the labels
    axes.set_xticks(range(len(rates)), list(rates), fontsize=11, color=INK)
    axes.set_ylabel("messages a second, logarithmic", color=INK)
    axes.set_title("2 KB alerts over 5 connections", loc="left", fontsize=13, color=INK)
    axes.yaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.grid(visible=True, color=GRID)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, colors=INK)
    axes.minorticks_off()
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=9, labelcolor=INK)
    figure.savefig(path, dpi=150)
