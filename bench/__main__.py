"""`python -m bench <name> [--quick] [--json FILE] [--cases a,b] [--subjects x,y]`"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path

from bench.cases import WrongAnswer
from bench.options import Options, Unavailable
from bench.report import Report

# Each is a module of this package with `run(options) -> Report`.
BENCHES = {
    "inproc": "each framework's ASGI callable driven without a server",
    "calls": "Python-level calls per request",
    "servers": "plaintext behind uvicorn, granian and hypercorn",
    "futures": "futures beside what asyncio offers for the same",
    "pg": "the PostgreSQL driver beside asyncpg and psycopg",
    "values": "rows of PostgreSQL decoded, without the wire",
    "e2e": "the same app on PostgreSQL, behind each subject's best server",
    "sqlite": "the same app on SQLite: list, show and insert records",
}


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(f"{name:8} {summary}" for name, summary in BENCHES.items()),
    )
    parser.add_argument("bench", choices=BENCHES)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument("--cases", type=_names, default=(), metavar="A,B", help="only these cases")
    parser.add_argument("--subjects", type=_names, default=(), metavar="X,Y", help="only these subjects")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """0 when it was measured, whatever the verdicts; 1 for a wrong answer; 2 for what cannot be run."""
    chosen = _parser().parse_args(arguments)
    options = Options(chosen.quick, chosen.cases, chosen.subjects)
    try:
        report: Report = import_module(f"bench.{chosen.bench}").run(options)
    except WrongAnswer as error:
        print(error, file=sys.stderr)
        return 1
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 2
    print(report.text())
    if chosen.json:
        report.write(chosen.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
