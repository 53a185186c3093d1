"""The answer in a sentence: how much slower user mode is here, and whether that matters for this host."""

from collections.abc import Sequence

from qemunet_tests.throughput.judging.verdicts import FASTER, SAME, SLOWER, Health, Judged, median
from qemunet_tests.throughput.recording import Recording

WHERE = {
    "tcp.g2h": "outwards",
    "tcp.h2g": "inwards",
    "guest_time.g2h": "outwards in guest time",
    "guest_time.h2g": "inwards in guest time",
}


def title(recording: Recording) -> str:
    """What every table and plot is headed with: rates mean nothing without accelerator and placement."""
    session = recording.session
    lane = "guest time (icount), " if session.guest_time else ""
    return f"QEMU {session.qemu.version}, {lane}{str(session.accel.used).upper()}, {session.placed}"


def answer(recording: Recording, judged: Sequence[Judged], machine: Health) -> str:
    if not machine.usable:
        return f"This machine cannot measure throughput reliably now: {machine.reason}."
    asked = [each for each in judged if each.lower == "user" and not each.twin and each.metric in WHERE]
    if not asked:
        return _first(judged)
    nic = asked[0].nic
    main = [each for each in asked if each.nic == nic and each.upper == asked[0].upper]
    parts = [f"{_words(each)} {WHERE[each.metric]}" for each in main]
    sentence = f"User mode here is, against {main[0].upper} on {nic.removesuffix('-pci')}, {' and '.join(parts)}"
    return f"{sentence}; {_matters(recording, main[0])}."


def _first(judged: Sequence[Judged]) -> str:
    found = [each for each in judged if not each.twin and each.metric in WHERE]
    if not found:
        return "Nothing was measured that could be compared."
    each = found[0]
    return f"{each.upper} is {each.verdict} compared with {each.lower} ({each.nic}, {each.metric}), {each.reason}."


def _words(each: Judged) -> str:
    found = each.ratio
    span = f" ({found.low:.3g} to {found.high:.3g})" if found.low and found.high else ""
    if each.verdict == FASTER:
        return f"{found.point:.3g} times slower{span}"
    if each.verdict == SLOWER:
        return f"{1 / found.point:.3g} times faster ({1 / (found.high or 1):.3g} to {1 / (found.low or 1):.3g})"
    if each.verdict == SAME:
        return f"not shown to differ from ({each.reason.removesuffix(' shown')})"
    return f"about {found.point:.3g} times slower (unproven, {each.reason})"


def _matters(recording: Recording, each: Judged) -> str:
    if recording.session.guest_time:
        return "guest time counts the guest's instructions and none of the host's: it is no rate that anybody sees"
    rate = median(recording, "tcp.g2h", "user", each.nic) or 0.0
    speed = recording.session.uplink.mbit_per_second
    if not speed:
        return (
            f"it carries {rate:.0f} Mbit/s, which matters for this host only where guests move more than that "
            "(its uplink does not say how fast it is)"
        )
    if rate >= speed:
        return f"it carries {rate:.0f} Mbit/s, more than this host's uplink of {speed} Mbit/s: it costs CPU, not rate"
    return f"it carries {rate:.0f} Mbit/s of this host's uplink of {speed} Mbit/s: it matters for bulk transfers"
