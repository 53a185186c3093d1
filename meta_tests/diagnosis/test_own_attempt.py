"""What the host's own connection proves against this host, in a real network of its own."""

import sys
from collections.abc import Iterator

import pytest

from meta_tests.samples.network_stack import NetworkStack

#: Typed in the namespace: the socket is that of whoever calls.
CALL = """
import socket, subprocess, sys
from types import SimpleNamespace
from qemunet_tests.diagnosis.lost_frame import own_attempt
from qemunet_tests.host.asking import Completed
from qemunet_tests.network.target import Endpoint
def ask(words):
    done = subprocess.run(words, capture_output=True)
    return Completed(done.returncode, done.stdout, done.stderr)
host = SimpleNamespace(open_socket=lambda to: socket.socket(), ask=ask)
service = Endpoint(sys.argv[1], 7007)
first = socket.socket()
first.setblocking(False)
first.connect_ex((service.address, service.port))
print(own_attempt._unsent(host, service, TimeoutError("timed out")))
"""
#: A network in which nobody is but one whose MAC address is known, and who says nothing. By IPv6 a new link says much.
NETWORK = """sysctl -qw net.ipv6.conf.default.disable_ipv6=1
ip link add v0 type veth peer name v1; ip addr add 192.168.50.1/24 dev v0
ip link set v0 up; ip link set v1 up
ip neigh add 192.168.50.2 lladdr 02:00:00:00:00:02 dev v0
nft 'table ip wall { chain output { type filter hook output priority 0; tcp dport 7007 drop; }; }'"""


@pytest.fixture
def stack() -> Iterator[NetworkStack]:
    made = NetworkStack()
    made.type(NETWORK)
    yield made
    made.close()


@pytest.mark.parametrize(("address", "kept_here"), [("192.168.50.2", True), ("192.168.50.9", False)])
def test_whom_arp_is_still_asked_for_is_not_kept_from_anybody(
    stack: NetworkStack, address: str, kept_here: bool
) -> None:
    """Between two ARP requests nothing leaves, and no rule is to blame for that."""
    # Else what the machine itself sends meanwhile would be counted.
    assert sorted(stack.ask(["ls", "/sys/class/net"]).text.split()) == ["lo", "v0", "v1"]
    if not kept_here:
        stack.type("nft delete table ip wall")
    done = stack.ask([sys.executable, "-c", CALL, address])
    assert done.succeeded, done.complaint
    assert ("is dropped by this host itself" in done.text) is kept_here
