"""What is said where the kernel's hash looks at ports, so that nobody knows whom QEMU's connection was handed to."""

import sys
from collections.abc import Iterator

import pytest

from meta_tests.samples.network_stack import NetworkStack

#: Typed in the namespace: the sockets are those of whoever calls. The far end has a namespace of its own.
CALL = """
import contextlib, os, socket, subprocess, sys
from types import SimpleNamespace
from qemunet_tests.diagnosis.lost_frame import dead_hop
from qemunet_tests.host import flow_lookup
from qemunet_tests.host.asking import Completed
from qemunet_tests.host.policy_rules import RoutedPacket
from qemunet_tests.network.target import Endpoint
serve = "import socket; s = socket.create_server(('', 7007)); print(flush=True); [s.accept() for _ in range(99)]"
words = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "sh", "-c", "echo; read go; exec $0 -c \\"$1\\"",
         sys.executable, serve]
far = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
far.stdout.readline()
def type_there(commands):
    entering = ["nsenter", "--target", str(far.pid), "--net", "sh", "-ec", commands]
    subprocess.run(entering, check=True)
subprocess.run(["ip", "link", "set", "v1", "netns", str(far.pid)], check=True)
type_there("ip link set lo up; ip link set v1 up; ip addr add 192.168.50.1/24 dev v1; ip addr add 203.0.113.9 dev lo")
type_there(sys.argv[1])
far.stdin.write(b"go\\n")
far.stdin.flush()
far.stdout.readline()
def ask(words):
    done = subprocess.run(words, capture_output=True)
    return Completed(done.returncode, done.stdout, done.stderr)
def open_socket(kind=socket.SOCK_STREAM, to=""):
    return socket.socket(socket.AF_INET, kind)
station = SimpleNamespace(open_socket=open_socket, ask=ask, entered=contextlib.nullcontext)
failure = SimpleNamespace(bench=SimpleNamespace(station=station, identity=SimpleNamespace(uid=0)))
service = Endpoint("203.0.113.9", 7007)
dead_hop.routes.sent_to = lambda _: service
dead_hop.search.is_about = lambda *_: True
dead_hop.arp_answers.trouble = lambda *_: None
print(dead_hop.handed_to_a_dead_hop(failure))
far.kill()
"""
NETWORK = """ip link add v0 type veth peer name v1; ip addr add 192.168.50.2/24 dev v0; ip link set v0 up
ip route add default nexthop via 192.168.50.1 dev v0 nexthop via 192.168.50.9 dev v0
sysctl -qw net.ipv4.fib_multipath_hash_policy=1
"""


@pytest.fixture
def stack() -> Iterator[NetworkStack]:
    made = NetworkStack()
    made.type(NETWORK)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("at_the_far_end", "named"),
    [
        ("true", True),
        # Both are there.
        ("ip addr add 192.168.50.9/24 dev v1", False),
        # What goes by the living one is not answered either: something else is wrong.
        ("ip addr del 203.0.113.9/32 dev lo", False),
    ],
)
def test_connections_of_our_own_show_which_hop_is_dead(stack: NetworkStack, at_the_far_end: str, named: bool) -> None:
    done = stack.ask([sys.executable, "-c", CALL, at_the_far_end])
    assert done.succeeded, done.complaint
    if not named:
        assert done.text == "None"
        return
    assert "is handed to 192.168.50.9, which answers no ARP at v0, and from others, as 28" in done.text
    assert "is answered by way of 192.168.50.1 (fib_multipath_hash_policy)" in done.text
    assert "sudo ip route replace default via 192.168.50.1 dev v0; for good see whether 192.168.50.9" in done.text
