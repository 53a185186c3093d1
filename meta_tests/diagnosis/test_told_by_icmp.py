"""What a real kernel says by ICMP of a connection that a real rule rejects, and what it does not say of a reset."""

import json
import sys
from collections.abc import Iterator

import pytest

from meta_tests.samples.network_stack import NetworkStack

#: Typed in the namespace: the socket is that of whoever calls.
CALL = """
import json, socket, sys
from types import SimpleNamespace
from qemunet_tests.diagnosis.lost_frame.told_by_icmp import rejection
from qemunet_tests.network.target import Endpoint
families = {4: socket.AF_INET, 6: socket.AF_INET6}
service = Endpoint(sys.argv[1], int(sys.argv[2]))
host = SimpleNamespace(open_socket=lambda to: socket.socket(families[service.version]))
told = rejection(host, service)
print(json.dumps(told and [told.by, told.words]))
"""
WALL = """nft 'table inet wall { chain input { type filter hook input priority 0
  tcp dport 7001 reject; tcp dport 7002 reject with icmpx type admin-prohibited
  tcp dport 7003 reject with tcp reset; }; }'"""


@pytest.fixture
def stack() -> Iterator[NetworkStack]:
    made = NetworkStack()
    made.type(WALL)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("address", "port", "told"),
    [
        ("127.0.0.1", 7001, ["127.0.0.1", "port unreachable"]),
        ("127.0.0.1", 7002, ["127.0.0.1", "communication prohibited"]),
        ("127.0.0.1", 7003, None),
        # Nobody listens.
        ("127.0.0.1", 7005, None),
        ("::1", 7001, ["::1", "port unreachable"]),
        ("::1", 7002, ["::1", "prohibited"]),
    ],
)
def test_what_is_told_of_a_connection(stack: NetworkStack, address: str, port: int, told: list[str] | None) -> None:
    done = stack.ask([sys.executable, "-c", CALL, address, str(port)])
    assert done.succeeded, done.complaint
    assert json.loads(done.text) == told
