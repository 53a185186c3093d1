"""`qemunet claims`: what is promised, where, and what tests it. Runs nothing."""

import argparse
from typing import TYPE_CHECKING

from qemunet_tests.errors import UsageError

if TYPE_CHECKING:
    from rich.text import Text

    from qemunet_tests.claims import Source
    from qemunet_tests.report.shapes import ClaimsListing, ListedClaim

EXAMPLES = """\
examples:
  qemunet claims                    everything, for reading
  qemunet claims 'bridge/acl-*'     the claims about the helper's access list
  qemunet claims --json             the same for scripts (its shape: report/schemas/claims.json)
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "claims",
        help="what is promised, where, and what tests it",
        description="List the claims: what QEMU's documentation promises, where, and which tests try it.\n"
        "Nothing is run.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("globs", metavar="CLAIM-GLOB", nargs="*", help="only claims whose id matches")
    parser.add_argument("--json", action="store_true", help="for scripts")


def execute(arguments: argparse.Namespace) -> int:
    """Print the listing. Raises UsageError where a glob matches nothing."""
    listing = claims_listing(arguments.globs)
    if arguments.json:
        print(listing.as_json(), end="")
    else:
        _print_table(listing)
    return 0


def claims_listing(globs: list[str]) -> "ClaimsListing":
    """The claims that match, with the tests that cite them."""
    from qemunet_tests.claims import citations, instead_of, matching, unmatched
    from qemunet_tests.report.shapes import ClaimsListing, ListedClaim

    for glob in unmatched(globs):
        raise UsageError(f"no claim matches {glob!r}: {instead_of(glob)}")
    tests: dict[str, list[str]] = {}
    for citation in citations():
        tests.setdefault(citation.claim, []).append(citation.test)
    return ClaimsListing(
        claims=[
            ListedClaim(
                id=claim.id,
                mode=claim.mode,
                says=claim.says,
                source=claim.source,
                since=claim.since,
                until=claim.until,
                tests=tests.get(claim.id, []),
                untested=claim.untested,
                option=claim.option,
            )
            for claim in matching(globs).values()
        ]
    )


def _print_table(listing: "ClaimsListing") -> None:
    from rich.table import Table
    from rich.text import Text

    from qemunet_tests.commands.terminal import Screen

    table = Table(box=None, padding=(0, 2, 1, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for claim in listing.claims:
        text = Text(claim.says)
        text.append("\n").append_text(_place(claim.source))
        if versions := _versions(claim):
            text.append(f"\n{versions}", style="dim")
        for test in claim.tests:
            text.append(f"\n{test.rpartition('.')[2]}", style="dim")
        if not claim.tests:
            text.append(f"\nnot tested: {claim.untested or 'nobody has said why'}", style="yellow")
        table.add_row(Text(claim.id, style="bold"), text)
    Screen(highlight=False).print(table)


def _place(source: "Source") -> "Text":
    """Where it is promised: on a terminal a link, where the document is public."""
    from rich.text import Text

    style = f"dim link {source.url}" if source.url else "dim"
    return Text(f'{source.document}, "{source.section}"', style=style)


def _versions(claim: "ListedClaim") -> str:
    """For which versions it is promised; empty for all of them."""
    bounds = (("since", claim.since), ("until", claim.until), ("where QEMU has", claim.option and f"`{claim.option}`"))
    return ", ".join(f"{word} {versions}" for word, versions in bounds if versions)
