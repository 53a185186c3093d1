"""`qemunet claims`: what is promised, where, and what tests it. Runs nothing."""

import argparse
from typing import TYPE_CHECKING

from qemunet_tests.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    )
    parser.add_argument("globs", metavar="CLAIM-GLOB", nargs="*", help="only claims whose id matches")
    parser.add_argument("--json", action="store_true", help="for scripts")


def execute(arguments: argparse.Namespace) -> int:
    """Print the listing. Raises UsageError where a glob matches nothing."""
    listing = claims_listing(arguments.globs)
    if arguments.json:
        print(listing.as_json(), end="")
    else:
        _print(listing)
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


def _print(listing: "ClaimsListing") -> None:
    """A claim a paragraph: beside ids in a column of their own, a test's name would have to be cut."""
    from rich.text import Text

    from qemunet_tests.commands.terminal import Screen
    from qemunet_tests.report.card_lines import labelled

    screen = Screen(highlight=False)
    for claim in listing.claims:
        screen.print(Text(claim.id, style="bold"), soft_wrap=True)
        for text, style in _about(claim):
            for line in labelled("  ", text, screen.width):
                line.stylize(style)
                screen.print(line, soft_wrap=True)
        screen.print()


def _about(claim: "ListedClaim") -> "Iterator[tuple[str, str]]":
    """What is told of a claim, each with the style it has on a terminal."""
    yield claim.says, ""
    # A link, where the document is public.
    place = f'{claim.source.document}, "{claim.source.section}"'
    yield place, f"dim link {claim.source.url}" if claim.source.url else "dim"
    if versions := _versions(claim):
        yield versions, "dim"
    for test in claim.tests:
        yield test.rpartition(".")[2], "dim"
    if not claim.tests:
        yield f"not tested: {claim.untested or 'nobody has said why'}", "yellow"


def _versions(claim: "ListedClaim") -> str:
    """For which versions it is promised; empty for all of them."""
    bounds = (("since", claim.since), ("until", claim.until), ("where QEMU has", claim.option and f"`{claim.option}`"))
    return ", ".join(f"{word} {versions}" for word, versions in bounds if versions)
