"""Machines that Ansible reaches by ssh: a userland each, in a network namespace of its own, with a real sshd.

    python -m meta_tests.fleet.machines

unpacks what is missing, installs in each what its administrator would have installed, and makes the wheels. That needs
packages from the machine's mirror and from pip's index, which the network of the tests does not reach.
"""

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qemunet_tests.deadline import Deadline
from qemunet_tests.isolation import namespaces
from qemunet_tests.isolation.processes import Process, Spawner, stop
from qemunet_tests.isolation.station import Station
from qemunet_tests.network.lab_links import add_bridge, add_veth, set_master

CHECKOUT = Path(__file__).parents[2]
BUILT = CHECKOUT / "ansible" / "build"
#: Of the suites below.
PYTHONS = ("3.11", "3.13")
ROLE = CHECKOUT / "ansible" / "roles" / "qemunet"
#: Documentation's own (RFC 5737), inside namespaces only.
CONTROL, PREFIX, NOBODY = "192.0.2.1", 24, "192.0.2.99"
START_SECONDS = 60.0
#: Accounts and keys are made at each start, and what an earlier test brought is removed: a kept machine keeps packages.
SSHD = """
rm -rf /opt/qemunet
useradd --create-home ops 2>/dev/null || true
install -d -m 700 /root/.ssh && printf '%s\\n' "$1" > /root/.ssh/authorized_keys
mkdir -p /run/sshd && ssh-keygen -A >/dev/null
{furnish}
exec /usr/sbin/sshd -D -e -o UsePAM=no
"""


@dataclass(frozen=True)
class FleetMachine:
    """One of the inventory; `furnish` is what a shell does in it before anybody comes, `variables` are the role's."""

    name: str
    suite: str
    address: str
    furnish: str = ""
    variables: tuple[tuple[str, str], ...] = ()

    def userland(self, *words: str) -> list[str]:
        """The words that run a command in it."""
        kept = ["--keep", f"fleet-{self.name}", self.suite]
        return [sys.executable, "-m", "meta_tests.userland", *kept, "--", *words]


MACHINES = (
    FleetMachine("plain", "bookworm", "192.0.2.11"),
    FleetMachine("newer", "trixie-backports", "192.0.2.12"),
    FleetMachine("no-list", "bookworm", "192.0.2.13", "rm -f /etc/qemu/bridge.conf", (("qemunet_target", "host"),)),
    FleetMachine(
        "no-resolver",
        "bookworm",
        "192.0.2.14",
        f"echo nameserver {NOBODY} > /etc/resolv.conf",
        (("qemunet_target", "host"),),
    ),
)


class Fleet:
    """The machines that run, at a switch with the control node, which is this process."""

    def __init__(self, spawner: Spawner, key: str, log: Path) -> None:
        self._spawner, self._key, self._log = spawner, key, log
        self.control = Station("control", namespaces.current_network(), spawner)
        add_bridge(self.control, "fleet0")
        _assign(self.control, "fleet0", CONTROL)
        self._stations: dict[str, Station] = {}
        self.running: dict[str, Process] = {}

    def start(self, machine: FleetMachine) -> None:
        """Boot it, as far as a userland boots, and wait for its sshd. Raises TimedOut."""
        station = self._stations.get(machine.name) or self._connected(machine)
        command = SSHD.format(furnish=machine.furnish)
        with (self._log / f"{machine.name}.log").open("ab") as log:
            self.running[machine.name] = station.start(
                machine.userland("sh", "-euc", command, "sh", self._key), cwd=CHECKOUT, stdout=log, stderr=log
            )
        Deadline(START_SECONDS, f"sshd of {machine.name}").wait_until(lambda: _answers(self.control, machine.address))

    def end(self, machine: FleetMachine) -> None:
        """As by pulling its plug."""
        process = self.running.pop(machine.name)
        process.kill()
        process.wait()
        self._spawner.forget(process)

    def hang(self, machine: FleetMachine) -> None:
        """Its kernel goes on, and answers whoever connects; none of its programs does."""
        for pid in self._programs(machine):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def is_running(self, machine: FleetMachine, *words: str) -> bool:
        """Whether a program there has all these words on its command line."""
        return any(set(words) <= set(_command_line(pid)) for pid in self._programs(machine))

    def _programs(self, machine: FleetMachine) -> list[int]:
        """Those in its PID namespace, as seen from here; without those in namespaces that they made."""
        (first,) = _children(self.running[machine.name].pid)
        namespace = _pid_namespace(first)
        everybody = [int(each.name) for each in Path("/proc").iterdir() if each.name.isdecimal()]
        return [pid for pid in everybody if _pid_namespace(pid) == namespace]

    def close(self) -> None:
        for process in self.running.values():
            stop(process)

    def _connected(self, machine: FleetMachine) -> Station:
        station = self._stations[machine.name] = Station(machine.name, namespaces.new_network(), self._spawner)
        port = f"to-{machine.name}"[:15]
        add_veth(self.control, port, station, "eth0")
        set_master(self.control, port, "fleet0")
        _assign(station, "eth0", machine.address)
        return station


def _assign(station: Station, link: str, address: str) -> None:
    station.netlink.addr("add", index=station.index(link), address=address, prefixlen=PREFIX)


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _pid_namespace(pid: int) -> str | None:
    """None of a process that has ended."""
    try:
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    except OSError:
        return None


def _command_line(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def _answers(control: Station, address: str) -> bool:
    try:
        with control.connect(address, 22, 2.0) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def packages(suite: str) -> list[str]:
    """What an administrator has installed: the role's list, and sshd."""
    library = "libarchive13" if suite.startswith("bookworm") else "libarchive13t64"
    return ["openssh-server", "python3", library, *listed()]


def listed() -> list[str]:
    """The names in the role's list that are the same for every Debian."""
    return re.findall(r"^  - ([a-z0-9.-]+)$", (ROLE / "vars" / "Debian.yml").read_text(), re.MULTILINE)


def install(machines: Sequence[FleetMachine] = MACHINES) -> None:
    """Unpack each machine and install its packages, if that was not done before."""
    for machine in machines:
        wanted = shlex.join(packages(machine.suite))
        # A name that another package only mentions is known to dpkg as well.
        states = f"dpkg-query -W -f '${{db:Status-Status}}\\n' {wanted} 2>&1 | sort -u"
        # Nobody is there to be asked whether iperf3 is to be a daemon.
        install_them = f"DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install {wanted}"
        get = f"apt-get -qq update && {install_them}"
        command = f'[ "$({states})" = installed ] || {{ {get}; }}'
        subprocess.run(machine.userland("sh", "-euc", command), cwd=CHECKOUT, check=True)


def make_wheels() -> None:
    """What the playbook does on a control node that reaches pip's index."""
    BUILT.mkdir(exist_ok=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps"]
    subprocess.run([*pip, f"--wheel-dir={BUILT}", str(CHECKOUT)], check=True)
    for python in PYTHONS:
        subprocess.run([sys.executable, str(ROLE / "files" / "wheelhouse.py"), str(BUILT), python], check=True)


if __name__ == "__main__":
    make_wheels()
    install()
