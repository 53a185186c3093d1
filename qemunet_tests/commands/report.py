"""`qemunet report`: draws the page of a run anew from its results, or one page of many hosts."""

import argparse
import contextlib
import gc
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from qemunet_tests.errors import UsageError
from qemunet_tests.printable import printable

if TYPE_CHECKING:
    from qemunet_tests.report.brief_results import BriefResults
    from qemunet_tests.report.many_hosts import TriedHost, UnreadHost
    from qemunet_tests.report.verdict_of_test import Verdict

EXAMPLES = """\
examples:
  qemunet report out                         out/report.html, from out/results.json
  qemunet report out --out page.html         the same, elsewhere
  qemunet report hosts/* --out hosts.html    one page of many hosts, a folder each: what hit how many of them,
                                             who is unlike the others, what changed since DIR/before

exit codes of several: 0 nothing is broken on any; 1 something is on one; 2 wrong usage; 3 nothing is known to
be broken, but something is inconclusive, or a host's results cannot be read. It is that of the worst host.
"""
#: Where the Ansible playbook says why a host has no results, and how much of that is read.
TROUBLE, LONGEST_TROUBLE = "trouble.txt", 300
#: Of a host's name on the page.
LONGEST_LABEL = 60


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "report",
        help="draw the page of a run anew from its results, or one of many hosts",
        description="Draw report.html from the results.json that a run with --report left. Nothing is tried.",
        epilog=EXAMPLES,
    )
    parser.add_argument("folder", metavar="DIR", type=Path, nargs="+", help="a report's folder, or its results.json")
    parser.add_argument("--out", metavar="FILE", type=Path, help="write the page there, not into DIR")


def execute(arguments: argparse.Namespace) -> int:
    """Write the page and say where it is. Raises UsageError."""
    if len(arguments.folder) == 1:
        return _draw_one(arguments.folder[0], arguments.out)
    if arguments.out is None:
        raise UsageError("report: several hosts make one page: say where, --out FILE")
    for place in arguments.folder:
        if not place.exists():
            raise UsageError(f"{place}: there is no such folder")
    return _draw_many(arguments.folder, arguments.out)


def _draw_one(place: Path, out: Path | None) -> int:
    from qemunet_tests.report.changes import results_in
    from qemunet_tests.report.page.html_page import PAGE_FILE, html_page
    from qemunet_tests.report.recorded_rates import with_recording_beside

    results = results_in(place)
    if results is None:
        raise UsageError(f"{place} has no results of a run")
    home = place if place.is_dir() else place.parent
    page = html_page(with_recording_beside(results, home), beside=out is None)
    _write(out or home / PAGE_FILE, page)
    return 0


def _draw_many(places: Sequence[Path], out: Path) -> int:
    from qemunet_tests.report.many_hosts import ManyHosts
    from qemunet_tests.report.page.many_hosts_page import many_hosts_page

    with _kept():
        tried, unread = _read_all(places, out)
    for each in unread:
        print(printable(f"qemunet: {each.label}: {each.why}"), file=sys.stderr)
    found = ManyHosts.of(tried, unread)
    _write(out, many_hosts_page(found))
    print(f"{found.headline}")
    return found.exit_code


@contextlib.contextmanager
def _kept() -> Iterator[None]:
    """What is made meanwhile is kept: to look through it for garbage, again and again, is a fifth of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _write(page: Path, text: str) -> None:
    from qemunet_tests.report.session_results import write_whole

    try:
        print(f"written: {write_whole(page, text)}")
    except OSError as refused:
        raise UsageError(f"{page} cannot be written: {refused.strerror}") from refused


def _read_all(places: Sequence[Path], out: Path) -> "tuple[list[TriedHost], list[UnreadHost]]":
    """Each host's results; one that has none, or damaged ones, keeps nobody from seeing the others."""
    from qemunet_tests.report.brief_results import brief_results
    from qemunet_tests.report.many_hosts import TriedHost, UnreadHost
    from qemunet_tests.report.report_folder import BEFORE

    read: list[tuple[Path, BriefResults]] = []
    unread: list[UnreadHost] = []
    for place in places:
        try:
            read.append((place, brief_results(place)))
        except UsageError as why:
            unread.append(UnreadHost(str(place), _trouble(place) or str(why)))
    labels = _labels(read)
    tried = []
    for (place, results), label in zip(read, labels, strict=True):
        earlier = _or_none(place / BEFORE) if place.is_dir() else None
        tried.append(TriedHost(label, results, earlier, _link(place, out)))
    return tried, unread


def _trouble(place: Path) -> str:
    """What whoever was to bring the results says of their absence, in one line; empty where he says nothing."""
    from qemunet_tests import trust

    try:
        with trust.opened(place / TROUBLE) as stream:
            return stream.readline(LONGEST_TROUBLE).decode(errors="replace").strip()
    except OSError:
        return ""


def _or_none(place: Path) -> "dict[str, Verdict] | None":
    """Of a round before that was damaged nothing is said: it was told of in its time."""
    from qemunet_tests.report.brief_results import brief_results

    try:
        return {each.claim: each.verdict for each in brief_results(place).verdicts}
    except UsageError:
        return None


def _labels(read: "Sequence[tuple[Path, BriefResults]]") -> Iterator[str]:
    """The hosts' own names; where several are called the same, after the name or the way of their folders."""
    names = [(results.host.name or place.name)[:LONGEST_LABEL] for place, results in read]
    called = Counter(names)
    folders = Counter(place.name for place, _ in read)
    for (place, _), name in zip(read, names, strict=True):
        folder = place.name if folders[place.name] == 1 else place
        yield name if called[name] == 1 else f"{folder} ({name})"


def _link(place: Path, out: Path) -> str | None:
    """The host's own page, as seen from the page of all."""
    from qemunet_tests.report.page.html_page import PAGE_FILE

    page = place / PAGE_FILE
    if not page.is_file():
        return None
    seen = os.path.relpath(page, out.absolute().parent)
    # A folder may be called like the scheme of an address.
    return quote(seen if seen.startswith(".") else f"./{seen}")
