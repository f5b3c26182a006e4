"""The gRPC benchmark's report: medians and ratios within a group, as tables, as Markdown, as a picture and as JSON."""

import json
from io import StringIO
from xml.etree import ElementTree

from rich.console import Console

from tests.bench.grpc.chart import chart
from tests.bench.grpc.measuring import Figures, Group
from tests.bench.grpc.report import Report, markdown, tables
from tests.bench.grpc.variants import VARIANTS

ONE, EIGHT, TWICE = Group(1, 1), Group(8, 1), Group(8, 2)


def figures(rate: float) -> Figures:
    return Figures(rate, p50=1.0, p99=rate / 100, cpu=250.0)


def report_of(rounds: dict[tuple[str, Group], list[float]]) -> Report:
    report = Report()
    for (name, group), rates in rounds.items():
        for rate in rates:
            report.add(VARIANTS[name], group, figures(rate))
    return report


def test_a_ratio_is_the_median_of_the_rounds_own_within_a_group():
    report = report_of(
        {
            ("empty", ONE): [100, 200, 400],
            ("empty", EIGHT): [1000, 1000, 1000],
            ("aggregate", EIGHT): [700, 800, 900],
            ("aggregate", ONE): [90, 100, 300],
            ("aggregate-inside", ONE): [5000, 5000, 5000],
        }
    )

    lines = {(line.name, line.group): line for line in report.lines()}

    assert [line.name for line in report.lines()] == ["empty", "aggregate", "aggregate-inside", "empty", "aggregate"]
    one = lines["aggregate", ONE]
    assert (one.rate, one.lowest, one.highest, one.ratio) == (100, 90, 300, 0.75)
    assert (one.p99, one.cpu, one.events) == (1.0, 250.0, None)
    assert lines["aggregate", EIGHT].ratio == 0.8
    assert lines["aggregate-inside", ONE].ratio is None


def test_without_the_empty_handler_there_are_rates_and_no_ratios():
    (line,) = report_of({("put-many", ONE): [100, 200]}).lines()

    assert (line.rate, line.events, line.ratio) == (150, 15_000, None)


def test_tables_markdown_and_json_show_every_line():
    report = report_of({("empty", ONE): [1234], ("details", ONE): [617], ("empty", TWICE): [2345]})
    console = Console(width=200, record=True, file=StringIO())

    for table in tables(report.lines()):
        console.print(table)
    text = markdown(report.lines())

    for shown in (console.export_text(), text):
        for part in ("1,234", "617", "0.50", "2,345", "one server process", "2 server processes"):
            assert part in shown
    assert len({line.count("|") for line in text.splitlines() if "|" in line}) == 1
    told = json.loads(json.dumps(report.as_json({"rounds": 1})))
    assert (told["rounds"][0]["callers"], told["lines"][0]["rate"]) == (1, 1234)


def test_the_picture_is_well_formed_and_every_bar_lies_within_it():
    report = report_of({("empty", ONE): [100], ("details", ONE): [61], ("details-inside", ONE): [9999]})

    picture = ElementTree.fromstring(chart(report.lines(), title="<title> & more"))

    width, height = float(picture.attrib["width"]), float(picture.attrib["height"])
    bars = [bar for bar in picture.iter("{http://www.w3.org/2000/svg}rect") if "x" in bar.attrib]
    assert len(bars) == 4  # two of them are the legend's
    assert all(float(bar.attrib["x"]) + float(bar.attrib["width"]) <= width for bar in bars)
    assert all(float(bar.attrib["y"]) + float(bar.attrib["height"]) <= height for bar in bars)
    said = "".join(text.text or "" for text in picture.iter("{http://www.w3.org/2000/svg}text"))
    assert "61% of the empty one" in said
    assert "9,999" not in said
