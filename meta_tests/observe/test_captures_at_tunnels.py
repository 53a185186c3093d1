"""What is sent by a tunnel has no Ethernet in front of it, and is heard all the same."""

import json
import sys
from collections.abc import Iterator

import pytest

from meta_tests.samples.network_stack import NetworkStack

#: Typed in the namespace: a program that holds a tunnel, as a VPN's, and who listens there while something is sent.
LISTENED = """
import contextlib, fcntl, json, os, socket, struct, subprocess
from types import SimpleNamespace
from qemunet_tests.observe.capture import LinkCapture
tunnel = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tunnel, 0x400454CA, struct.pack("16sH", b"tun0", 0x1001))
subprocess.run(["sh", "-ec", "ip addr add 10.8.0.6/24 dev tun0; ip link set tun0 up"], check=True)
heard = LinkCapture(SimpleNamespace(entered=contextlib.nullcontext), "tun0")
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
    sending.sendto(b"word", ("10.8.0.9", 7007))
print(json.dumps([[each.source, each.target, each.second, each.payload[4:].decode()] for each in heard.packets()
                  if each.kind == socket.IPPROTO_UDP]))
"""


@pytest.fixture
def stack() -> Iterator[NetworkStack]:
    made = NetworkStack()
    yield made
    made.close()


def test_what_a_tunnel_takes_is_heard(stack: NetworkStack) -> None:
    done = stack.ask([sys.executable, "-c", LISTENED])
    assert done.succeeded, done.complaint
    assert json.loads(done.text) == [["10.8.0.6", "10.8.0.9", 7007, "word"]]
