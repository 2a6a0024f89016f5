"""What the benchmark of small files says, and draws, of its runs."""

from __future__ import annotations

import pytest

pytest.importorskip("matplotlib")

from benchmarks import headline

BYTES = {"float32": 4000, "int8": 1000, "compress, 64 kB": 500}
NDCG = {"float32": 0.06, "int8": 0.06, "compress, 64 kB": 0.03, headline.WITH_HISTORY: 0.04}


def rows():
    found = []
    for seed in (0, 1):
        for kind, ndcg in NDCG.items():
            row = {"kind": kind, "seed": seed, "ndcg": ndcg + 0.002 * seed, "recall": 0.1}
            found.append(row | ({"graph_bytes": BYTES[kind]} if kind in BYTES else {}))
    return [*found, {"kind": "popularity", "seed": 0, "ndcg": 0.005, "recall": 0.01}]


def test_the_report_holds_every_file_against_float32():
    lines = headline.report(rows(), "own", 1000).splitlines()
    found = [line for line in lines if line.startswith("| ")][2:]
    assert found == [
        "| float32 | 4,000 | 0.0610 ± 0.0014 | 0.1000 ± 0.0000 | - | 2 |",
        "| float32, items of the history ranked too | - | 0.0410 ± 0.0014 | 0.1000 ± 0.0000 "
        "| +32.8 | 2 |",
        "| int8 | 1,000 | 0.0610 ± 0.0014 | 0.1000 ± 0.0000 | +0.0 | 2 |",
        "| compress, 64 kB | 500 | 0.0310 ± 0.0014 | 0.1000 ± 0.0000 | +49.2 | 2 |",
        "| popularity | - | 0.0050 | 0.0100 | - | - |",
    ]


def test_what_others_published_is_said_to_be_quoted():
    text = headline.report(rows(), "s3rec_beauty", 22_363)
    assert text.count("(quoted: ") == len(headline.QUOTED["s3rec_beauty"])
    assert "is not known to us" in text


def test_the_plot_has_a_point_for_every_file(tmp_path, monkeypatch):
    drawn = []
    plotted = headline.plt.Axes.plot

    def plot(axes, *points, **style):
        drawn.append(style.get("label"))
        return plotted(axes, *points, **style)

    monkeypatch.setattr(headline.plt.Axes, "plot", plot)
    headline.plot(rows(), "own", tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 1000
    assert len(drawn) == 3 and any("items of the history ranked too" in name for name in drawn)
