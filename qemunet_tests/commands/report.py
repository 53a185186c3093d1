"""`qemunet report`: draws the page of a run anew from its results."""

import argparse
from pathlib import Path

from qemunet_tests.errors import UsageError

EXAMPLES = """\
examples:
  qemunet report out                    out/report.html, from out/results.json
  qemunet report out --out page.html    the same, elsewhere
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "report",
        help="draw the page of a run anew from its results",
        description="Draw report.html from the results.json that a run with --report left. Nothing is tried.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("folder", metavar="DIR", type=Path, nargs="+", help="a report's folder, or its results.json")
    parser.add_argument("--out", metavar="FILE", type=Path, help="write the page there, not into DIR")


def execute(arguments: argparse.Namespace) -> int:
    """Write the page and say where it is. Raises UsageError."""
    from qemunet_tests.report.changes import results_in
    from qemunet_tests.report.page.html_page import PAGE_FILE, html_page
    from qemunet_tests.report.session_results import write_whole

    if len(arguments.folder) > 1:
        raise UsageError("report: one folder at a time; `qemunet compare A B` lays two side by side")
    place = arguments.folder[0]
    results = results_in(place)
    if results is None:
        raise UsageError(f"{place} has no results of a run")
    home = place if place.is_dir() else place.parent
    page = arguments.out or home / PAGE_FILE
    text = html_page(results, beside=arguments.out is None)
    try:
        print(f"written: {write_whole(page, text)}")
    except OSError as refused:
        raise UsageError(f"{page} cannot be written: {refused.strerror}") from refused
    return 0
