"""A claim that has failed, with a guest, a bench and a target that are made up."""

from types import SimpleNamespace
from typing import Any

from qemunet_tests.diagnosis.failure import Failure
from qemunet_tests.host.asking import NOT_FOUND, Completed
from qemunet_tests.modes.user import netdev
from qemunet_tests.network.target import Endpoint
from qemunet_tests.observe.lease import Lease
from qemunet_tests.qemu.netdev import Nic

NEIGHBOUR, FAR, GATEWAY = "192.168.1.10", "203.0.113.10", "192.168.1.254"
LEASE = Lease("192.168.1.101", 24, GATEWAY, ("192.168.1.254",), GATEWAY, 3600, "")
#: As a guest's kernel lists its sockets (proc(5)): SSH, what a test has put up, and a connection to it.
LISTENING = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 101
   1: 00000000:8707 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 102
   2: 6501A8C0:C707 0A01A8C0:9C40 01 00000000:00000000 00:00000000 00000000     0        0 103"""


class Tools:
    """A guest's tools, all of which are spelled as nothing."""

    def __getattr__(self, _: str) -> str:
        return ""


def failed(mode: str, topics: tuple[str, ...], error: BaseException | None = None, target: Any = None) -> Any:
    """A Failure of a claim of that mode and with those topics; `target` in the place of a lab with a neighbour."""
    host, neighbour = object(), object()
    lab = SimpleNamespace(
        host=host, caller=neighbour, bridge="br0", address="192.168.1.2", names=("www.example",),
        neighbour_echo=Endpoint(NEIGHBOUR, 7007), far_echo=Endpoint(FAR, 7007),
    )  # fmt: skip
    guest = SimpleNamespace(
        nics=(Nic(netdev()),), macs=("52:54:00:00:00:01",), tools=Tools(), run=lambda _: SimpleNamespace(text=LISTENING)
    )
    bench = SimpleNamespace(
        station=SimpleNamespace(ask=lambda _: Completed(NOT_FOUND, b"", b"")),
        identity=SimpleNamespace(uid=1000),
        guests=[guest],
        qemu=SimpleNamespace(path="q"),
    )
    made: Any = Failure
    return made(mode, bench, target or lab, error or AssertionError("it is not so"), topics=topics)
