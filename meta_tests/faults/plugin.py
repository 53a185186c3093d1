"""Plants one fault in a run: `pytest -p meta_tests.faults.plugin --qemunet-fault NAME`."""

from typing import TYPE_CHECKING

import pytest

from meta_tests import faults
from meta_tests.faults.fault import InLab
from meta_tests.faults.frames import FrameShim
from qemunet_tests.guest.bench import Bench
from qemunet_tests.guest.guest import Guest
from qemunet_tests.network import Lab
from qemunet_tests.network.netplan import NetplanHost

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from qemunet_tests.guest.peer import Peer


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("qemunet").addoption(
        "--qemunet-fault", choices=sorted(faults.faults_in(faults)), help="what to break"
    )


def pytest_configure(config: pytest.Config) -> None:
    name = config.getoption("--qemunet-fault")
    if name:
        config.pluginmanager.register(Planter(name), "qemunet-planter")


class Planter:
    """Breaks what its fault says, wherever a run offers it."""

    def __init__(self, name: str) -> None:
        planting = faults.faults_in(faults)[name].planting
        assert isinstance(planting, InLab)
        self.planting = planting

    def pytest_qemunet_lab_built(self, lab: Lab) -> None:
        if self.planting.wants == "lab":
            self.planting.plant(lab)
            # What it took away of the lab's own services is what it is about.
            lab.services.excuse()

    def pytest_qemunet_netplan_host_built(self, host: NetplanHost) -> None:
        if self.planting.wants == "netplan_host":
            self.planting.plant(host)

    def pytest_qemunet_guest_booted(self, guest: Guest, bench: Bench) -> None:
        if self.planting.wants == "guest":
            self.planting.plant(guest, bench)

    def pytest_qemunet_peer_attached(self, peer: "Peer") -> None:
        if self.planting.wants == "wire":
            shim = FrameShim(peer.wire)
            self.planting.plant(shim)
            peer.wire = shim
        elif self.planting.wants == "peer":
            self.planting.plant(peer)
