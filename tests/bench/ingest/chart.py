"""The measured rates as a picture of bars."""

from collections.abc import Sequence
from xml.sax.saxutils import escape

from tests.bench.ingest.report import Line

_WIDTH, _LEFT, _RIGHT, _ROW, _TOP = 860, 300, 190, 24, 54
_COLOURS = {"ours": "#1f6feb", "alternative": "#bf4b00", "limit": "#8c959f"}
_WORDS = {"ours": "movieapp", "alternative": "Pathway", "limit": "limits"}
_ROOM_FOR_LIMITS = 1.4


def chart(lines: Sequence[Line], *, title: str) -> str:
    """An SVG: for each line a bar to its rate, paler on to the steady one, and a stroke from lowest to highest.

    A limit far beyond everything else is cut off, so that the others can be told apart.
    """
    most = max((_longest(line) for line in lines if line.kind != "limit"), default=0.0) * _ROOM_FOR_LIMITS
    most = min(most, max(map(_longest, lines))) or max(map(_longest, lines))
    height = _TOP + _ROW * len(lines) + 14
    rows = [_row(line, _TOP + place * _ROW, most) for place, line in enumerate(lines)]
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
        parts.append(_note(x + 15, 43, _WORDS[kind]))
    words = "solid: from the process's start to the last commit; pale: between first and last commit"
    return [*parts, _note(14 + 90 * len(_COLOURS), 43, words)]


def _note(x: float, y: float, text: str) -> str:
    return f'<text x="{x}" y="{y}" font-size="11" fill="#59636e">{escape(text)}</text>'


def _longest(line: Line) -> float:
    return max(line.highest, line.steady or 0.0)


def _row(line: Line, y: int, most: float) -> str:
    def length(rate: float) -> float:
        return min(rate, most) / most * (_WIDTH - _LEFT - _RIGHT)

    colour, middle = _COLOURS[line.kind], y + 9
    low, high = _LEFT + length(line.lowest), _LEFT + length(line.highest)
    end = _LEFT + length(_longest(line))
    cut = " →" if _longest(line) > most else ""
    steady = f" (steady {line.steady / 1000:,.0f}k)" if line.steady and line.kind != "limit" else ""
    return (
        f'<text x="{_LEFT - 10}" y="{y + 13}" text-anchor="end" fill="#1f2328">{escape(line.title)}</text>'
        f'<rect x="{_LEFT}" y="{y}" width="{length(line.steady or 0):.1f}" height="18" fill="{colour}" opacity="0.35"/>'
        f'<rect x="{_LEFT}" y="{y}" width="{length(line.rate):.1f}" height="18" fill="{colour}"/>'
        f'<path d="M{low:.1f} {middle}H{high:.1f}" stroke="#1f2328" stroke-width="1.5"/>'
        f'<text x="{end + 8:.1f}" y="{y + 13}" fill="#1f2328">{line.rate / 1000:,.0f}k/s{steady}{cut}</text>'
    )
