"""A host on whose LAN something answers DHCP with garbage: nothing dies of it, and nothing is blamed that is not so."""

import re
import sys

import pytest

from meta_tests.samples.host_machine import LAN, HostMachine
from meta_tests.user_accounts import CHECKOUT

SERVER = CHECKOUT / "meta_tests" / "planted" / "garbage_dhcp.py"
CLAIMS = ("bridge/lease-address", "bridge/reachable-ping", "user/address")


def tried(machine: HostMachine) -> None:
    """A run ends as runs do, tells nothing but words, and its verdict is about what the guest was given."""
    answering = machine.start_at_lan([sys.executable, "-I", str(SERVER), "lan0", LAN])
    found = machine.run("--bridge", "br0", *CLAIMS)
    assert answering.poll() is None
    assert re.search(r"answered \d{3,} times", machine.server_log()), "nobody asked it anything"
    assert not re.search(r"an error of qemunet's own|Traceback|INTERNALERROR", machine.said), machine.said
    assert not re.search("[\x00-\x08\x0b-\x1f]", machine.said)
    assert found["user/address"]["verdict"] == "holds"
    given = found["bridge/lease-address"]
    if given["verdict"] == "broken":
        # Most of what it sends is dropped by the guest's client; what is taken may be any address.
        wrong = f"{given['observed']} is no address that the network gives"
        assert given["reason"] in (wrong, "the guest got no lease"), given
    assert not machine.leftovers()


@pytest.mark.slow
def test_garbage_alone(machine: HostMachine) -> None:
    machine.stop(machine.dhcp)
    tried(machine)


@pytest.mark.slow
def test_garbage_beside_a_server(machine: HostMachine) -> None:
    tried(machine)
