"""`make bench-grpc`: calls of our gRPC services, interleaved with what bounds them.

Every method is called by 1, 8 and 64 callers at once, at one server process and at two, next to an empty handler of
the same server and to the same work in process. Callers are in processes of their own, each with its own connection
(one caller at two processes calls only one of them), and call again as soon as they are answered. Details are those
of one query: that the movie service asks the others over gRPC is not measured. Figures depend on the machine, which
callers and servers share: compare the ratios of one run.
"""

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import product
from pathlib import Path
from random import Random

from rich.console import Console

from tests.bench.grpc.chart import chart
from tests.bench.grpc.errors import BenchError
from tests.bench.grpc.measuring import Group, measure
from tests.bench.grpc.report import Report, markdown, tables
from tests.bench.grpc.scene import Scene, scene_running
from tests.bench.grpc.variants import VARIANTS, Variant

_INTERRUPTED = 130


def main() -> None:
    """Measures, prints tables, writes what was asked for, and leaves nothing else behind."""
    asked = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    variants = _chosen(asked)
    console = Console() if sys.stdout.isatty() else Console(width=140)
    report = Report()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="movieapp-bench-") as folder,
            _scene(asked, Path(folder), console) as scene,
        ):
            console.log(f"Postgres {scene.postgres_version}, {len(scene.servers)} servers")
            _measure(asked, variants, report=report, console=console, scene=scene)
    except BenchError as error:
        console.print(f"[red]{type(error).__name__}[/]", style="bold")
        console.print(str(error), markup=False, highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        console.print("stopped; what was measured until then:")
    if not report.lines():
        sys.exit(_INTERRUPTED)
    _tell(asked, report, console=console)


def _scene(asked: argparse.Namespace, folder: Path, console: Console) -> AbstractContextManager[Scene]:
    return scene_running(folder, servers=max(asked.processes), settings=dict(asked.setting), say=console.log)


def _measure(
    asked: argparse.Namespace, variants: Sequence[Variant], *, report: Report, console: Console, scene: Scene
) -> None:
    for number in range(1, asked.rounds + 1):
        for group, variant in round_of(number, _groups(asked), variants):
            words = f"{variant.title}, {group.callers} callers, {group.processes} processes"
            with console.status(f"round {number} of {asked.rounds}: {words}"):
                figures = measure(variant, group, scene, seconds=asked.seconds, seed=number)
            report.add(variant, group, figures)
            console.log(f"{number}: {words}: {figures.rate:,.0f}/s, p50 {figures.p50:.1f}, p99 {figures.p99:.1f} ms")


def round_of(number: int, groups: Sequence[Group], variants: Sequence[Variant]) -> Iterator[tuple[Group, Variant]]:
    """Every variant in every group; those of a group follow each other, so that they compare.

    In another order in each round and group, the same in every run: what one leaves to do in Postgres is not always
    the next one's burden.
    """
    for group in groups:
        order = Random(f"{number} {group.callers} {group.processes}").sample(variants, len(variants))
        yield from ((group, variant) for variant in order)


def _groups(asked: argparse.Namespace) -> Sequence[Group]:
    return [Group(callers, processes) for processes, callers in product(asked.processes, asked.callers)]


def _tell(asked: argparse.Namespace, report: Report, *, console: Console) -> None:
    lines = report.lines()
    for table in tables(lines):
        console.print(table)
    about = {
        "rounds": asked.rounds,
        "seconds": asked.seconds,
        "settings": dict(asked.setting),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }
    title = f"gRPC calls a second ({asked.rounds} rounds of {asked.seconds:g} s, {os.cpu_count()} cores for all)"
    files = {
        asked.json: lambda: json.dumps(report.as_json(about), indent=1) + "\n",
        asked.markdown: lambda: markdown(lines),
        asked.chart: lambda: chart(lines, title=title),
    }
    for path, text in files.items():
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.grpc", description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement (default: %(default)s)")
    parser.add_argument("--rounds", type=_count, default=3, help="how often each is measured (default: %(default)s)")
    parser.add_argument("--callers", type=_count, nargs="+", default=[1, 8, 64], metavar="N", help="(default: 1 8 64)")
    parser.add_argument("--processes", type=_count, nargs="+", default=[1, 2], metavar="N", help="(default: 1 2)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these variants alone; --list names them")
    parser.add_argument(
        "--setting",
        type=_setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="for the servers, as in .env.example, but not MOVIE_DETAILS_SOURCE=grpc; may be repeated",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables there, as Markdown")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="write a picture (SVG) there")
    parser.add_argument("--list", action="store_true", help="name the variants and end")
    return parser.parse_args()


def _chosen(asked: argparse.Namespace) -> Sequence[Variant]:
    """Ends the process for --list and for a name that is none."""
    if asked.list:
        for variant in VARIANTS.values():
            print(f"{variant.name:20} {variant.title}")
        sys.exit(0)
    if unknown := {*(asked.only or [])} - VARIANTS.keys():
        sys.exit(f"no such variant: {', '.join(sorted(unknown))}; there are {', '.join(sorted(VARIANTS))}")
    return [variant for variant in VARIANTS.values() if asked.only is None or variant.name in asked.only]


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
