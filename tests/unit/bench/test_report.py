"""The benchmark's report: medians and ratios of rounds, as a table, as Markdown and as a picture."""

from io import StringIO
from xml.etree import ElementTree

from rich.console import Console

from tests.bench.ingest.chart import chart
from tests.bench.ingest.measuring import Figures
from tests.bench.ingest.report import Report, markdown, table, words
from tests.bench.ingest.variants import all_variants

VARIANTS = {variant.name: variant for variant in all_variants(prefilled=0)}


def figures(rate: float, steady: float | None = None) -> Figures:
    return Figures(rate, steady, cpu_seconds=2.0, peak=50_000_000)


def report_of(**rounds: list[Figures]) -> Report:
    names = [name.replace("_", "-") for name in rounds]
    report = Report([VARIANTS[name] for name in names], events=1_000_000)
    for name, found in zip(names, rounds.values(), strict=True):
        for one in found:
            report.add(VARIANTS[name], one)
    return report


def test_a_ratio_is_the_median_of_the_rounds_own():
    report = report_of(
        exactly_once=[figures(100), figures(200), figures(400)],
        replay=[figures(300), figures(500), figures(800)],
    )

    line = report.lines()[1]

    assert (line.rate, line.lowest, line.highest) == (500, 300, 800)
    assert line.ratio == 2.5
    assert (line.cpu, line.peak) == (2.0, 50.0)


def test_without_the_reference_there_are_rates_and_no_ratios():
    (line,) = report_of(puts=[figures(100, steady=120)]).lines()

    assert (line.rate, line.ratio, line.steady, line.steady_ratio) == (100, None, 120, None)


def test_ours_is_compared_with_the_alternative_of_the_same_round():
    report = report_of(
        puts=[figures(100, steady=150), figures(100, steady=150)],
        pathway=[figures(50, steady=50), figures(50)],
    )

    (comparison,) = report.comparisons()

    assert words(comparison) == "puts only, beside Pathway's default: 2.00 times as fast, steady 3.00"


def test_the_table_and_the_markdown_show_every_line():
    report = report_of(exactly_once=[figures(1234, steady=2345)], copy_bare=[figures(99999)])
    console = Console(width=200, record=True, file=StringIO())

    console.print(table(report.lines(), title="title"))
    text = markdown(report.lines(), report.comparisons())

    for shown in (console.export_text(), text):
        assert "1,234" in shown
        assert "2,345" in shown
        assert "limit: COPY, no key, no index" in shown
    assert len({line.count("|") for line in text.strip().splitlines()}) == 1


def test_the_picture_is_well_formed_and_cuts_off_a_limit_that_dwarfs_the_rest():
    report = report_of(exactly_once=[figures(100, steady=120)], copy_bare=[figures(1_000_000)])

    picture = ElementTree.fromstring(chart(report.lines(), title="<title> & more"))

    width = float(picture.attrib["width"])
    bars = [bar for bar in picture.iter("{http://www.w3.org/2000/svg}rect") if "x" in bar.attrib]
    assert all(float(bar.attrib["x"]) + float(bar.attrib["width"]) <= width for bar in bars)
    assert any("→" in (text.text or "") for text in picture.iter("{http://www.w3.org/2000/svg}text"))
