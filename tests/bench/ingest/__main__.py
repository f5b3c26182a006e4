"""`make bench`: rating events from Kafka into Postgres, interleaved with what bounds that and with Pathway.

Every variant runs once in each round, on servers of its own that are set as `make run` sets them; what it leaves in the
tables is checked before its figure counts. Figures depend on the machine: compare the ratios of one run.
"""

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from tests.bench.ingest.chart import chart
from tests.bench.ingest.errors import BenchError
from tests.bench.ingest.pathway_environment import pathway_python
from tests.bench.ingest.report import Report, markdown, table, words
from tests.bench.ingest.scene import Scene
from tests.bench.ingest.servers import servers_running
from tests.bench.ingest.variants import Variant, all_variants

_FEWEST_EVENTS = 1_000
_INTERRUPTED = 130


def main() -> None:
    """Measures, prints a table, writes what was asked for, and leaves nothing else behind."""
    asked = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    variants = _chosen(asked)
    console = Console() if sys.stdout.isatty() else Console(width=180)
    report = Report(variants, events=asked.events)
    try:
        with tempfile.TemporaryDirectory(prefix="movieapp-bench-") as folder:
            _measure(asked, variants, report=report, console=console, folder=Path(folder))
    except BenchError as error:
        console.print(f"[red]{type(error).__name__}[/]", style="bold")
        console.print(str(error), markup=False, highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        console.print("stopped; what was measured until then:")
    if not report.lines():
        sys.exit(_INTERRUPTED)
    _tell(asked, report, console=console)


def _tell(asked: argparse.Namespace, report: Report, *, console: Console) -> None:
    lines, comparisons = report.lines(), report.comparisons()
    title = f"{asked.events:,} events each, {os.cpu_count()} cores, interleaved rounds: {asked.rounds}"
    console.print(table(lines, title=title))
    for comparison in comparisons:
        console.print(words(comparison), highlight=False)
    about = {
        "events": asked.events,
        "rounds": asked.rounds,
        "prefilled": asked.prefilled,
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "postgres_settings": dict(asked.postgres),
    }
    files = {
        asked.json: lambda: json.dumps(report.as_json(about), indent=1) + "\n",
        asked.markdown: lambda: markdown(lines, comparisons),
        asked.chart: lambda: chart(lines, title=f"Events a second ({title})"),
    }
    for path, text in files.items():
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text())


def _measure(
    asked: argparse.Namespace, variants: Sequence[Variant], *, report: Report, console: Console, folder: Path
) -> None:
    if any(variant.kind == "alternative" for variant in variants):
        pathway_python(say=console.log)
    with servers_running(folder, postgres_settings=dict(asked.postgres)) as servers:
        console.log(f"Postgres {servers.postgres.binaries.version}, Apache Kafka {servers.kafka.version}")
        scene = Scene(servers, count=asked.events, prefilled=asked.prefilled, say=console.log)
        for round_number in range(1, asked.rounds + 1):
            for variant in variants:
                with console.status(f"round {round_number} of {asked.rounds}: {variant.title}"):
                    figures = variant.measure(scene)
                report.add(variant, figures)
                steady = "" if figures.steady is None else f", steady {figures.steady:,.0f}"
                console.log(f"{round_number}: {variant.title}: {figures.rate:,.0f} events/s{steady} {figures.note}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.ingest", description=__doc__)
    parser.add_argument("--events", type=_events, default=2_000_000, help="of each measurement (default: %(default)s)")
    parser.add_argument("--rounds", type=_count, default=3, help="how often each is measured (default: %(default)s)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these variants alone; --list names them")
    parser.add_argument(
        "--without", nargs="+", metavar="NAME", default=[], help="not these; 'pathway' is all of Pathway's"
    )
    parser.add_argument(
        "--prefilled",
        type=int,
        default=10_000_000,
        metavar="RATINGS",
        help="how many stand already in the variant of that name; 0 leaves it out (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there, as Markdown")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="write a picture (SVG) there")
    parser.add_argument(
        "--postgres",
        type=_setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a server setting over those of `make run`; may be repeated",
    )
    parser.add_argument("--list", action="store_true", help="name the variants and end")
    return parser.parse_args()


def _chosen(asked: argparse.Namespace) -> Sequence[Variant]:
    """Ends the process for --list and for a name that is none."""
    variants = all_variants(prefilled=asked.prefilled)
    if asked.list:
        for variant in variants:
            print(f"{variant.name:20} {variant.title}")
        sys.exit(0)
    names = {variant.name for variant in variants}
    unknown = {*(asked.only or []), *asked.without} - names
    if unknown:
        sys.exit(f"no such variant: {', '.join(sorted(unknown))}; there are {', '.join(sorted(names))}")
    left_out = {*asked.without, *(name for name in names if "pathway" in asked.without and name.startswith("pathway"))}
    return [
        variant
        for variant in variants
        if (asked.only is None or variant.name in asked.only) and variant.name not in left_out
    ]


def _events(text: str) -> int:
    value = int(text)
    if value < _FEWEST_EVENTS:
        raise argparse.ArgumentTypeError(f"{text} is less than {_FEWEST_EVENTS}")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return value


def _setting(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not (name and separator):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


if __name__ == "__main__":
    main()
