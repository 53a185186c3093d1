"""The page of many hosts as text. What a host's results say is shown, and never obeyed, as on the page of one."""

from collections import Counter

from markupsafe import Markup

from qemunet_tests.report.many_hosts import ManyHosts, TriedHost
from qemunet_tests.report.page.html_page import SIGNS, environment, own_file, policy
from qemunet_tests.report.verdict_of_test import Verdict

#: Of a text of a host.
LONGEST_TEXT = 600
#: Hosts that are named at once; the others are behind a line to open.
MOST_NAMED = 8
#: Of a cell: as short as can be, there may be a hundred thousand of them.
_CLASSES = {verdict: verdict.value[0] for verdict in Verdict}
_CELLS = {verdict: Markup(f"<td class={_CLASSES[verdict]}>{SIGNS[verdict]}") for verdict in Verdict}
_NOT_TRIED = Markup("<td>")
#: By exit code: in which colour, and in which words.
STANDINGS = {1: "broken", 3: "inconclusive", 0: "holds"}
STANDING_WORDS = {1: "broken", 3: "not judged", 0: "fit"}


def many_hosts_page(found: ManyHosts) -> str:
    """The whole page. It loads nothing, and nothing in it but our script is executed."""
    columns = [claims[0] for claims in found.columns]
    script = own_file("copying.js") + own_file("many_hosts.js")
    return (
        environment()
        .get_template("many_hosts.html")
        .render(
            found=found,
            shortened=_shortened,
            cells=lambda host: _cells(host, columns),
            standings=STANDINGS,
            standing_words=STANDING_WORDS,
            counts=Counter(host.exit_code for host in found.hosts),
            places={host: place for place, host in enumerate(found.hosts)},
            verdicts=list(Verdict),
            most_named=MOST_NAMED,
            style=own_file("page.css") + own_file("many_hosts.css"),
            script=script,
            policy=policy(script),
        )
    )


def _shortened(text: str | None) -> str:
    said = " ".join((text or "no reason is known").split())
    return said if len(said) <= LONGEST_TEXT else f"{said[: LONGEST_TEXT - 1]}…"


def _cells(host: TriedHost, claims: list[str]) -> Markup:
    """A row of the table of all: drawn here, because it is what takes the time."""
    known = host.verdicts
    return Markup("").join(_CELLS[known[claim].verdict] if claim in known else _NOT_TRIED for claim in claims)
