"""The report of a file as one HTML page with plots, which asks nothing of any network."""

from __future__ import annotations

import base64
import html
import io
import os
from string import Template
from typing import Any

from memcom_tf.errors import message
from memcom_tf.files import write_atomically
from memcom_tf.text import printable, printable_list

_MOST_PLOTTED = 30
_LONGEST_LABEL = 40
_LONGEST_CELL = 2000
_MOST_ROWS = 1000
_QUANTILES = "5, 25, 50, 75 and 95 % of the rows"
# No script, and nothing from elsewhere: names in the report are a stranger's.
_PAGE = Template("""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>$name</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70em; margin: 2em auto; padding: 0 1em }
table { border-collapse: collapse; margin: 1em 0 }
th, td { padding: .2em .8em; border-bottom: 1px solid #ddd; text-align: right }
th:first-child, td:first-child { text-align: left; overflow-wrap: anywhere }
img { max-width: 100% }
</style></head><body>
<h1>$name</h1>
$body
</body></html>
""")


def write_html(report: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Writes the report of a file as a page, whole or not at all.

    Args:
        report: `CompressedModelFile.report` or `Conversion.report`; with what `measure` returned
            as "measured", latencies are plotted too.
        path: Where to; what is there is replaced.

    Raises:
        ImportError: If matplotlib is not installed.
        OSError: If it cannot be written.
    """
    write_atomically(path, html_report(report).encode())


def html_report(report: dict[str, Any]) -> str:
    """The page of `write_html`."""
    tables = [
        (f"{embedding['name']}/{table['name']}", table)
        for embedding in report["embeddings"]
        for table in embedding["tables"]
    ]
    shares = [e for e in report["embeddings"] if "share_not_unique" in e]
    rows = [(printable(name), *_row(table)) for name, table in tables[:_MOST_ROWS]]
    parts = [
        _table(("file", ""), _facts(report)),
        "<h2>Tables</h2>",
        _table(_TABLE_HEAD, rows),
        _image(_plot_bytes(tables), "Bytes of each table"),
    ]
    if any("error_quantiles" in table for _, table in tables):
        parts += [
            "<p>Errors are distances of stored rows from trained ones over the norms of these: "
            f"{_QUANTILES}.</p>",
            _image(_plot_errors(tables), "Errors of each table"),
        ]
    if shares:
        parts += [
            "<h2>Ids that share their vector with another id</h2>",
            _table(
                ("table", "trained", "in the file"),
                [
                    (
                        printable(e["name"]),
                        f"{e['share_not_unique_trained']:.2%}",
                        f"{e['share_not_unique']:.2%}",
                    )
                    for e in shares[:_MOST_ROWS]
                ],
            ),
        ]
    if "measured" in report:
        parts += _measured(report["measured"])
    return _PAGE.substitute(name=html.escape(printable(report["name"])), body="\n".join(parts))


_TABLE_HEAD = (
    *("table", "stored as", "rows", "width", "bits", "data bytes", "metadata bytes"),
    *("float32 bytes", "median error", "worst row"),
)


def _row(table: dict[str, Any]) -> list[str]:
    def shown(name: str, form: str) -> str:
        return f"{table[name]:{form}}" if name in table else "-"

    sizes = ("rows", "width", "bits", "data_bytes", "metadata_bytes", "float32_bytes")
    return [
        table["storage"].replace("_", " "),
        *(shown(name, ",") for name in sizes),
        *(shown(name, ".2%") for name in ("median_error", "worst_error")),
    ]


def _facts(report: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("bytes of the file", f"{report['file_bytes']:,}"),
        ("of these, graph with tables", f"{report['graph_bytes']:,}"),
        ("compressed by zlib, as an app store delivers it", f"{report['compressed_bytes']:,}"),
        ("float32 parameters, uncompressed", f"{4 * report['uncompressed_parameters']:,}"),
        ("runs on TensorFlow Lite, from", report["min_runtime_version"]),
        ("signatures", printable_list(report["signatures"])),
    ]


def _measured(measured: dict[str, Any]) -> list[str]:
    threads = measured["threads"]
    names = sorted({name for found in threads.values() for name in found["milliseconds"]})
    names = names[:_MOST_PLOTTED]
    rows = [
        (printable(name), *(f"{found['milliseconds'][name]:.3f}" for found in threads.values()))
        for name in names
    ]
    peaks = [found["peak_bytes"] for found in threads.values()]
    shown = ["-" if peak is None else f"{peak / 1e6:.1f} MB" for peak in peaks]
    head = [f"{count} thread{'' if count == '1' else 's'}" for count in threads]
    return [
        "<h2>On this machine</h2>",
        f"<p>{_escaped(measured['processor'])}, {measured['cores']} cores: medians in "
        "milliseconds, calls from Python. Peak memory is what the resident memory of a new "
        "process grew by, pages of the file included.</p>",
        _table(("signature", *head), [*rows, ("peak memory", *shown)]),
        _image(_plot_latencies(threads, names), "Latency of each signature"),
    ]


def _escaped(text: object) -> str:
    """A text from a file as it may stand in the page."""
    return html.escape(printable(text, _LONGEST_CELL))


def _table(head: Any, rows: Any) -> str:
    def cells(values: Any, tag: str) -> str:
        return "".join(f"<{tag}>{_escaped(value)}</{tag}>" for value in values)

    lines = [f"<tr>{cells(row, 'td')}</tr>" for row in rows]
    return f"<table><tr>{cells(head, 'th')}</tr>\n" + "\n".join(lines) + "</table>"


def _figure(count: int) -> tuple[Any, Any]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            message(
                "matplotlib must be installed for a report with plots.",
                'Run: pip install "memcom_tf[report]".',
                missing=error.name,
            )
        ) from error
    figure = Figure(figsize=(9, 1.2 + 0.35 * count), layout="constrained")
    axes = figure.subplots()
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _label(axes: Any, names: list[str]) -> None:
    short = [printable(name, _LONGEST_LABEL) for name in names]
    # A name with dollar signs is no formula.
    axes.set_yticks(range(len(names)), short, parse_math=False)


def _largest(tables: list[tuple[str, dict[str, Any]]]) -> list[tuple[str, dict[str, Any]]]:
    return sorted(tables, key=lambda named: -named[1]["data_bytes"])[:_MOST_PLOTTED]


def _plot_bytes(tables: list[tuple[str, dict[str, Any]]]) -> Any:
    plotted = _largest(tables)
    figure, axes = _figure(len(plotted))
    places = range(len(plotted))
    data = [table["data_bytes"] for _, table in plotted]
    metadata = [table.get("metadata_bytes", 0) for _, table in plotted]
    axes.barh(places, data, color="#4c78a8", label="integers or floats")
    axes.barh(places, metadata, left=data, color="#f58518", label="scales")
    _label(axes, [name for name, _ in plotted])
    axes.set_xlabel("bytes")
    axes.legend()
    return figure


def _plot_errors(tables: list[tuple[str, dict[str, Any]]]) -> Any:
    plotted = [named for named in _largest(tables) if named[1].get("error_quantiles")]
    figure, axes = _figure(len(plotted))
    for place, (_, table) in enumerate(plotted):
        low, first, middle, third, high = (100 * error for error in table["error_quantiles"])
        axes.plot([low, high], [place, place], color="#4c78a8", linewidth=1)
        axes.plot([first, third], [place, place], color="#4c78a8", linewidth=6)
        axes.plot([middle], [place], "o", color="white", markersize=4)
        axes.plot([100 * table["worst_error"]], [place], "x", color="#e45756")
    _label(axes, [name for name, _ in plotted])
    axes.set_xlim(left=0)
    axes.set_xlabel("error of a row, % of its norm (x: the worst row)")
    return figure


def _plot_latencies(threads: dict[str, Any], names: list[str]) -> Any:
    figure, axes = _figure(2 * len(names))
    for number, (count, found) in enumerate(threads.items()):
        places = [place + 0.4 * (number - 0.5) for place in range(len(names))]
        values = [found["milliseconds"][name] for name in names]
        axes.barh(places, values, height=0.38, label=f"{count} threads" if number else "1 thread")
    _label(axes, names)
    axes.set_xlabel("milliseconds")
    axes.legend()
    return figure


def _image(figure: Any, text: str) -> str:
    """A figure as SVG in the page; as an image, in which nothing is run."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<p><img alt="{_escaped(text)}" src="data:image/svg+xml;base64,{data}"></p>'
