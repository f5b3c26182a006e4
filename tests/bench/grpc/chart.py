"""The measured rates as a picture of bars, a block for each number of callers and processes."""

from collections.abc import Sequence
from itertools import groupby
from xml.sax.saxutils import escape

from tests.bench.grpc.report import Line

_WIDTH, _LEFT, _RIGHT, _ROW, _HEAD, _TOP = 860, 230, 230, 20, 28, 54
_COLOURS = {"ours": "#1f6feb", "limit": "#8c959f"}
_WORDS = {"ours": "movieapp", "limit": "limits, on the same server"}


def chart(lines: Sequence[Line], *, title: str) -> str:
    """An SVG: for each line over gRPC a bar to its rate, and a stroke from lowest to highest."""
    shown = [line for line in lines if line.kind in _COLOURS]
    most = max((line.highest for line in shown), default=0.0) or 1.0
    rows: list[str] = []
    y = _TOP
    for group, found in groupby(shown, key=lambda line: line.group):
        callers = "1 caller" if group.callers == 1 else f"{group.callers} callers"
        processes = "1 process" if group.processes == 1 else f"{group.processes} processes"
        rows.append(f'<text x="14" y="{y + 19}" fill="#1f2328" font-weight="bold">{callers}, {processes}</text>')
        y += _HEAD
        for line in found:
            rows.append(_row(line, y, most))
            y += _ROW
    height = y + 14
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}"'
            f' viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" font-size="13" role="img">',
            f"<title>{escape(title)}</title>",
            f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
            f'<text x="14" y="24" font-size="15" fill="#1f2328">{escape(title)}</text>',
            *_legend(),
            *rows,
            "</svg>\n",
        ]
    )


def _legend() -> list[str]:
    parts = []
    for place, (kind, colour) in enumerate(_COLOURS.items()):
        x = 14 + place * 90
        parts.append(f'<rect x="{x}" y="34" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{x + 15}" y="43" font-size="11" fill="#59636e">{escape(_WORDS[kind])}</text>')
    return parts


def _row(line: Line, y: int, most: float) -> str:
    def length(rate: float) -> float:
        return rate / most * (_WIDTH - _LEFT - _RIGHT)

    middle, low, high = y + 8, _LEFT + length(line.lowest), _LEFT + length(line.highest)
    ratio = "" if line.ratio is None or line.kind == "limit" else f", {line.ratio:.0%} of the empty one"
    return (
        f'<text x="{_LEFT - 10}" y="{y + 12}" text-anchor="end" fill="#1f2328">{escape(line.title)}</text>'
        f'<rect x="{_LEFT}" y="{y}" width="{length(line.rate):.1f}" height="16" fill="{_COLOURS[line.kind]}"/>'
        f'<path d="M{low:.1f} {middle}H{high:.1f}" stroke="#1f2328" stroke-width="1.5"/>'
        f'<text x="{high + 8:.1f}" y="{y + 12}" fill="#1f2328">{line.rate:,.0f}/s{ratio}</text>'
    )
