"""A resolver refuses whoever it does not serve, and a slow one refuses nobody."""

from typing import Any

import pytest

from qemunet_tests.observe import dns
from qemunet_tests.observe.dns import DnsAnswer

REFUSED, KNOWN = DnsAnswer("REFUSED", frozenset()), DnsAnswer("NXDOMAIN", frozenset())


@pytest.mark.parametrize(
    ("answers", "refused"),
    [
        ({"localhost": REFUSED, ".": REFUSED, "version.bind": REFUSED}, True),
        ({"localhost": REFUSED, ".": REFUSED, "version.bind": None}, True),
        # It has names of its own alone.
        ({"localhost": REFUSED, ".": REFUSED, "version.bind": KNOWN}, False),
        # It was asked in vain: what it says to these is not known.
        ({"localhost": REFUSED, ".": None, "version.bind": None}, False),
    ],
)
def test_what_was_not_answered_was_not_refused(
    answers: dict[str, DnsAnswer | None], refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    host: Any = None
    monkeypatch.setattr(dns, "ask_from", lambda station, server, name, **_: answers[name])
    assert dns.refusals(host, "192.168.77.53", ["localhost"], []) == ({"localhost": "REFUSED"} if refused else {})
