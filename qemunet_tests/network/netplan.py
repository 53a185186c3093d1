"""The post's host, configured as the post says: its netplan file, real netplan, real systemd-networkd.

    enp0s25 in br0, by netplan ------------- lan0 192.168.1.254
        host                                     router  DHCP

A small network of its own, because its host has the address of the lab's host.
"""

import os
import shutil
from importlib.resources import files
from pathlib import Path

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError, Unavailable
from qemunet_tests.host import system
from qemunet_tests.host.credentials import read as read_credentials
from qemunet_tests.host.package_manager import install_command
from qemunet_tests.host.search_path import SYSTEM_PATH, search_path
from qemunet_tests.isolation import exec_with_own_run, namespaces
from qemunet_tests.isolation.processes import Process, Spawner, stop
from qemunet_tests.isolation.station import Station
from qemunet_tests.isolation.syscalls import MS_RDONLY, mount, unmount
from qemunet_tests.network import lab_addresses
from qemunet_tests.network.dnsmasq import DhcpServer
from qemunet_tests.network.lab_links import add_veth, assign_address

#: The post's own, byte for byte, under the name it has there.
POSTS_FILE = files(__package__) / "01-netcfg.yaml"
NETWORKD = ("/usr/lib/systemd/systemd-networkd", "/lib/systemd/systemd-networkd")
#: How long systemd-networkd may take to configure a bridge and its port.
CONFIGURED_SECONDS = 15.0


class NetplanRefused(HarnessError, AssertionError):
    """netplan does not take the file: an answer about the promise, so an assertion that failed."""


class NetplanHost:
    """A host with one Ethernet interface, unconfigured until `apply`, and the router behind that.

    `root` is a folder in which `/sys` shows this host's links: for readers of a host that stand elsewhere.
    """

    def __init__(self, spawner: Spawner) -> None:
        self._netplan = _find("netplan", ("netplan",))
        self._networkd = _find("systemd-networkd", NETWORKD)
        self.folder = namespaces.SCRATCH / "netplan"
        self.file = self.folder / "etc/netplan" / POSTS_FILE.name
        self._run = self.folder / "run"
        self.file.parent.mkdir(parents=True)
        # Started as root, networkd makes its folder itself, for the user it turns into.
        (self._run if os.geteuid() == 0 else self._run / "systemd/netif").mkdir(parents=True)
        self.station = Station("netplan-host", namespaces.new_network(), spawner)
        self.router = Station("netplan-router", namespaces.new_network(), spawner)
        self._spawner = spawner
        self._process: Process | None = None
        self.root = self.folder / "root"
        (self.root / "sys").mkdir(parents=True)
        with self.station.entered():
            mount("sysfs", str(self.root / "sys"), "sysfs", MS_RDONLY)
        add_veth(self.router, "lan0", self.station, lab_addresses.UPLINK)
        self.station.bring_down(lab_addresses.UPLINK)
        assign_address(self.router, "lan0", lab_addresses.ROUTER)
        self.dhcp = DhcpServer(self.router, self.folder)
        self.write(POSTS_FILE.read_text())

    def write(self, text: str) -> None:
        """Make `text` the host's netplan file."""
        self.file.write_text(text)
        # netplan complains about a file that others may read.
        self.file.chmod(0o600)

    def apply(self) -> bool:
        """Do what `netplan apply` does where systemd is not the first process; whether networkd is done in time.

        Raises NetplanRefused with netplan's own words.
        """
        generate = exec_with_own_run.words(self._run, self._netplan, "generate", "--root-dir", str(self.folder))
        generated = self._spawner.run(generate, network=self.station.network, within_seconds=20)
        if not generated.succeeded:
            raise NetplanRefused(f"netplan refuses {self.file.name}: {generated.complaint}")
        with self.log.open("wb") as log:
            self._process = self.station.start(exec_with_own_run.words(self._run, self._networkd), stderr=log)
        return Deadline(CONFIGURED_SECONDS, "systemd-networkd").sees(self._configured)

    @property
    def log(self) -> Path:
        """What systemd-networkd says."""
        return self.folder / "networkd.log"

    def _configured(self) -> bool:
        if self._process and self._process.poll() is not None:
            raise HarnessError(f"systemd-networkd ended: {self.log.read_text().strip()}")
        return all(
            "ADMIN_STATE=configured" in self.state(link) for link in (lab_addresses.UPLINK, lab_addresses.BRIDGE)
        )

    def state(self, link: str) -> list[str]:
        """What networkd wrote down about a link, as `NAME=value`; empty where it knows no such link."""
        file = self._run / "systemd/netif/links" / str(self.station.index(link))
        return file.read_text().splitlines() if file.is_file() else []

    def close(self) -> None:
        if self._process:
            stop(self._process)
        self.dhcp.stop()
        for station in (self.station, self.router):
            station.netlink.close()
            os.close(station.network)
        unmount(str(self.root / "sys"))
        shutil.rmtree(self.folder)


def _find(package: str, names: tuple[str, ...]) -> str:
    path = search_path(SYSTEM_PATH)
    found = next((place for name in names if (place := shutil.which(name, path=path))), None)
    if found is None:
        remedy = install_command(package, system.read(), read_credentials().sudo)
        raise Unavailable(f"{package} is not installed", remedy)
    return found
