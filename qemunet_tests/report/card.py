"""The report card: what became of every claim, for people. Readable without colour and in 80 columns."""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.text import Text

from qemunet_tests.report.card_lines import STYLES, VERDICT_WIDTH, beside, labelled, plural, wrapped
from qemunet_tests.report.mode_summary import is_of_use, mode_summary
from qemunet_tests.report.shapes import ClaimVerdict, OwnBuildShape, Results
from qemunet_tests.report.shared_causes import SharedCause, causes_of_breakage, first_of
from qemunet_tests.report.topic_summary import topic_lines
from qemunet_tests.report.verdict_of_test import Verdict

#: How much the card says: what failed and counts; what became of every claim, or, where they are many, of every topic;
#: what was expected of each claim as well.
Detail = Literal["brief", "usual", "full"]
_BRIEF = (Verdict.BROKEN, Verdict.INCONCLUSIVE)
#: So many claims are listed one by one: with what is said of some of them they fill two screens.
MOST_LISTED = 100
#: Where nobody measures lines, what was seen is one.
_UNBROKEN = 1 << 16
#: Columns that a text takes beside something else; with fewer it stands below.
_LEAST_BESIDE = 24
_GUESTS = {"booted": "booted", "thawed": "thawed", "peers": "played by peers"}
_TARGETS = {"lab": "lab, a replica of the network made of namespaces", "host": "this host"}


def card_text(results: Results, says: Mapping[str, str], width: int = 80) -> str:
    """The card of a terminal without colour."""
    stream = io.StringIO()
    print_card(Console(file=stream, width=width, color_system=None, force_terminal=True), results, says)
    return stream.getvalue()


def print_card(
    console: Console,
    results: Results,
    says: Mapping[str, str],
    written: Iterable[Path] = (),
    last: Sequence[str] = (),
    detail: Detail = "usual",
) -> None:
    """`says` is the sentence of each claim, `written` the files that the report went into.

    `last` are those of the results' notes that nobody is to miss. Elsewhere than at a terminal a claim that
    holds is one line, which programs like.
    """
    others = [note for note in results.notes if note not in last]
    line_width = console.width if console.is_terminal else _UNBROKEN
    widths = (console.width, line_width)
    for line in _lines(results.model_copy(update={"notes": others}), says, written, widths, detail):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    for sentence in last:
        for line in wrapped(sentence, console.width):
            console.print(line, soft_wrap=True, highlight=False, markup=False, style="bold red")


def _lines(
    results: Results, says: Mapping[str, str], written: Iterable[Path], widths: tuple[int, int], detail: Detail
) -> Iterator[Text]:
    width, line_width = widths
    if detail != "brief":
        yield from _header(results, width)
    alike = first_of(results.verdicts)
    groups = _by_mode(results.verdicts)
    by_topic = detail == "usual" and len(results.verdicts) > MOST_LISTED
    if by_topic:
        yield from topic_lines(groups, width)
    for mode, group in groups.items():
        shown = [each for each in group if not (by_topic or detail == "brief") or each.verdict in _BRIEF]
        if not shown:
            continue
        yield Text()
        yield Text(mode, style="bold")
        slug_width = max(len(_slug(each)) for each in group)
        for each in shown:
            if each.claim in alike and detail != "full":
                yield from _lines_of_another(each, alike[each.claim], slug_width, line_width)
            else:
                yield from _verdict_lines(each, slug_width, line_width, detail)
                yield from _details(each, says, width, detail)
    # Where topics tell what holds, a mode is worth a sentence of which nothing does.
    summed_up = {mode: group for mode, group in groups.items() if not (by_topic and is_of_use(group))}
    yield from _ending(results, summed_up, written, width)


def _by_mode(verdicts: Sequence[ClaimVerdict]) -> dict[str, list[ClaimVerdict]]:
    modes = list(dict.fromkeys(each.mode for each in verdicts))
    return {mode: [each for each in verdicts if each.mode == mode] for mode in modes}


def _ending(
    results: Results, groups: Mapping[str, list[ClaimVerdict]], written: Iterable[Path], width: int
) -> Iterator[Text]:
    yield Text()
    for mode, group in groups.items():
        yield from wrapped(mode_summary(mode, group), width)
    for cause in causes_of_breakage(results.verdicts):
        if len(cause.claims) > 1:
            yield from wrapped(_shared(cause), width)
    for sentence in _closing(results):
        yield from wrapped(sentence, width)
    for file in written:
        yield Text(f"written: {file}")


def _header(results: Results, width: int) -> Iterator[Text]:
    host, qemu, accel = results.host, results.qemu, results.accel
    entries = {
        "target": _TARGETS[results.target],
        "host": f"{host.distribution}, Linux {host.kernel}, {plural(host.cpus, 'CPU')}",
    }
    if qemu.version or qemu.path:
        slirp = f", libslirp {qemu.slirp}" if qemu.slirp else ""
        place = f" ({qemu.path})" if qemu.path else ""
        entries["QEMU"] = f"{qemu.version or 'of unknown version'}{slirp}{place}"
    entries |= {label: _own(build) for label, build in _own_builds(results) if build}
    if accel.used:
        entries["accelerator"] = f"{accel.used}: {accel.reason}" if accel.reason else accel.used
    for label, text in entries.items():
        yield from labelled(f"{label:<13}", text, width)


def _own_builds(results: Results) -> list[tuple[str, OwnBuildShape | None]]:
    qemu = results.qemu
    return [("libslirp", qemu.own_libslirp), ("helper", qemu.own_helper), ("passt", results.passt)]


def _own(build: OwnBuildShape) -> str:
    version = f"{build.version}, " if build.version else ""
    number = f" (build {build.build[:12]})" if build.build else ""
    return f"{version}{build.path}{number} instead of {build.instead_of}"


def _verdict_lines(each: ClaimVerdict, slug_width: int, width: int, detail: Detail) -> Iterator[Text]:
    if each.verdict is Verdict.HOLDS and each.observed and detail != "full":
        yield from _beside(each, slug_width, each.observed, width)
    else:
        yield Text.assemble(*_named(each), _slug(each))


def _lines_of_another(each: ClaimVerdict, first: str, slug_width: int, width: int) -> Iterator[Text]:
    """Of a claim about which all is said already, at another."""
    seen = f": {each.observed}" if each.verdict is Verdict.BROKEN and each.observed else ""
    yield from _beside(each, slug_width, f"as {first}{seen}", width)


def _beside(each: ClaimVerdict, slug_width: int, said: str, width: int) -> Iterator[Text]:
    """What is said of a claim, behind its name; below it where that leaves too little room."""
    named = Text.assemble(*_named(each), f"{_slug(each):<{slug_width}}  ")
    if width - len(named) < _LEAST_BESIDE:
        yield Text.assemble(*_named(each), _slug(each))
        named = Text(" " * (VERDICT_WIDTH + 4))
    yield from beside(named, said, width, "dim")


def _named(each: ClaimVerdict) -> tuple[str, tuple[str, str], str]:
    return "  ", (f"{each.verdict.value:<{VERDICT_WIDTH}}", STYLES[each.verdict]), "  "


def _shared(cause: SharedCause) -> str:
    first = cause.claims[0]
    mended = f"; {cause.remedy}" if cause.remedy else ""
    return f"{len(cause.claims)} claims are broken by one cause, that of {first.claim}{mended}"


def _details(each: ClaimVerdict, says: Mapping[str, str], width: int, detail: Detail) -> Iterator[Text]:
    if each.verdict is Verdict.HOLDS and detail != "full":
        return
    tried = each.verdict is not Verdict.UNAVAILABLE
    details = [
        ("promise", says.get(each.claim) if tried else None),
        ("expected", each.expected if tried else None),
        ("observed", each.observed if tried else None),
        ("reason", each.reason),
        ("remedy", each.remedy),
        ("known", str(each.known) if each.known else None),
        *(("artifact", artifact) for artifact in each.artifacts),
    ]
    for label, text in details:
        if text:
            yield from labelled(f"{'':<{VERDICT_WIDTH + 4}}{label:<10}", text, width)


def _closing(results: Results) -> Iterator[str]:
    if results.interrupted:
        yield "interrupted: claims that were not tried yet are not listed"
    yield from results.notes
    yield _counts(results)
    yield _spent(results)


def _counts(results: Results) -> str:
    if not results.verdicts:
        return "no claim was tried"
    found = [each.verdict for each in results.verdicts]
    counted = ", ".join(f"{found.count(verdict)} {verdict.value}" for verdict in STYLES if verdict in found)
    known = sum(each.known is not None for each in results.verdicts)
    no_news = f"; {known} of them known, which is no news" if known else ""
    return f"{plural(len(found), 'claim')}: {counted}{no_news}"


def _spent(results: Results) -> str:
    guests = ", ".join(f"{count} {_GUESTS.get(kind, kind)}" for kind, count in results.guests.items() if count)
    preparing = {name: results.phases.get(name, 0.0) for name in ("image", "templates")}
    longer = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in preparing.items() if seconds >= 0.05)
    seconds = f"{results.seconds:.1f} s" + (f" ({longer})" if longer else "")
    return f"{seconds}; guests: {guests}" if guests else seconds


def _slug(each: ClaimVerdict) -> str:
    return each.claim.partition("/")[2]
