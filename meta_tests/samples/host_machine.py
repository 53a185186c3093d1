"""Hosts made of namespaces, by hand and as an administrator would: ip, nft, dnsmasq, and no code of the lab.

                    br0 192.168.77.2/24 -- up0 ~~ lan0 192.168.77.1/24
    the machine     (QEMU, helper, ACL)              the LAN           DHCP, DNS, an echo service at port 7007

The machine has a network, mounts and processes of its own, with no way out of them. It has its own /etc/qemu, its own
resolv.conf and, set up by root, a setuid copy of the bridge helper; an ordinary user runs qemunet on it.
"""

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from meta_tests.faults.fault import OnHost
from meta_tests.patience import limit
from meta_tests.user_accounts import CHECKOUT, NOBODY, ORDINARY_PATH
from qemunet_tests import images
from qemunet_tests.cache import readable_caches
from qemunet_tests.deadline import Deadline
from qemunet_tests.host.search_path import SYSTEM_PATH
from qemunet_tests.qemu import qemu_facts

HOST, LAN, PEER = "192.168.77.2", "192.168.77.1", "192.168.77.1:7007"

#: Debian keeps ip, nft and dnsmasq where an ordinary user's PATH does not lead.
ADMINISTRATORS = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}"}
#: Like every first process it has to bury orphans, which a shell that waits does.
FIRST_PROCESS = "echo ready; while sleep 3600; do :; done"
#: Typed at the machine when it is new. Where /sys is read-only, as in a container, a user gets no other, not even for
#: the moment that mount(8) takes to make it read-only where it uses the new calls.
MACHINE = f"""
LIBMOUNT_FORCE_MOUNT2=always mount -t sysfs -o ro sysfs /sys
mount -t tmpfs none /dev/shm && chmod 1777 /dev/shm
mount -t tmpfs none /mnt
mkdir /mnt/etc && mount --rbind /etc /mnt/etc && mount -t tmpfs none /etc && chmod 755 /etc
for entry in /mnt/etc/* /mnt/etc/.[!.]*; do ln -s "$entry" /etc/; done
rm -rf /etc/resolv.conf /etc/qemu /etc/hosts; mkdir /etc/qemu
echo nameserver {LAN} > /etc/resolv.conf
echo 127.0.0.1 localhost $(hostname) > /etc/hosts
echo allow br0 > /etc/qemu/bridge.conf
ip link set lo up
ip link add up0 type veth peer name lan0 netns LAN
ip link add br0 type bridge stp_state 0 forward_delay 0
ip link set up0 master br0 up
ip link set br0 up
ip addr add {HOST}/24 dev br0
ip route add default via {LAN}
"""
#: Typed at the LAN.
LAN_SIDE = f"""
ip link set lo up
ip link set lan0 up
ip addr add {LAN}/24 dev lan0
"""
RANGE = "--dhcp-range=192.168.77.50,192.168.77.99,1h"
DHCP = (
    "dnsmasq --conf-file=/dev/null --no-daemon --user= --group= --pid-file= --interface=lan0 --bind-interfaces "
    "--no-resolv --no-hosts --no-ping --leasefile-ro --dhcp-authoritative --log-dhcp --local=/lan/ "
    f"--host-record=printer.lan,192.168.77.9 {RANGE} --dhcp-option=option:router,{LAN} "
    f"--dhcp-option=option:dns-server,{LAN}"
)
ECHO = """
import socketserver

class Stream(socketserver.BaseRequestHandler):
    def handle(self):
        while piece := self.request.recv(65536):
            self.request.sendall(piece)

class Datagram(socketserver.BaseRequestHandler):
    def handle(self):
        self.request[1].sendto(self.request[0], self.client_address)

socketserver.ThreadingTCPServer.allow_reuse_address = True
stream = socketserver.ThreadingTCPServer(("", 7007), Stream)
datagram = socketserver.ThreadingUDPServer(("", 7007), Datagram)
import threading
threading.Thread(target=datagram.serve_forever, daemon=True).start()
stream.serve_forever()
"""


class HostMachine:
    """A machine and its LAN. `user` runs qemunet there; ordinary ones can be had where root made the machine."""

    def __init__(self) -> None:
        # On the machine there is no way out to fetch packages.
        images.ensure()
        # Not one of pytest's, which are closed to others.
        self.folder = Path(tempfile.mkdtemp(prefix="machine-"))
        # As /tmp: whoever may write here may not put another's cache aside.
        self.folder.chmod(0o1777)
        self._started: list[subprocess.Popen[bytes]] = []
        self._as_root = os.geteuid() == 0
        #: Further options of the setpriv that qemunet runs under.
        self.become: tuple[str, ...] = ()
        try:
            self._cache = self._own_cache()
            self._set_up()
        except BaseException:
            self.close()
            raise

    def _own_cache(self) -> Path | None:
        """A cache that qemunet may write on the machine, with what was built before; None for its usual ones.

        In a user namespace root is not the machine's, and root's own cache is a stranger's.
        """
        if self._as_root and "QEMUNET_CACHE" not in os.environ:
            return None
        cache = self.folder / "cache"
        for shelf in ("images", "templates"):
            (cache / shelf).mkdir(parents=True)
            for before in reversed(readable_caches()):
                for entry in (before / shelf).glob("[!.]*"):
                    self._bring(entry, cache / shelf / entry.name)
        for made in (cache, cache / "images", cache / "templates") if self._as_root else ():
            os.chown(made, NOBODY, NOBODY)
        return cache

    def _bring(self, entry: Path, place: Path) -> None:
        """A copy where root's own look like a stranger's: they are believed by nobody."""
        if place.is_symlink():
            place.unlink()
        if self._as_root:
            place.symlink_to(entry)
        elif entry == images.ensure().folder:
            shutil.copytree(entry, place, dirs_exist_ok=True)

    def _set_up(self) -> None:
        namespaces = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        self.pid = self._first_process([*([] if self._as_root else ["--user", "--map-root-user"]), *namespaces])
        self.lan_pid = self._first_process(["--net"], inside=self.pid)
        self.type(MACHINE.replace("LAN\n", f"/proc/{self._seen_inside(self.lan_pid)}/ns/net\n"))
        self.type_at_lan(LAN_SIDE)
        self.helper = Path(qemu_facts.find().helper_path or "")
        if self._as_root:
            self.type(f"""
                mkdir /mnt/helper && mount -t tmpfs none /mnt/helper && cp {self.helper} /mnt/helper/
                chmod 4755 /mnt/helper/{self.helper.name} && mount --bind /mnt/helper/{self.helper.name} {self.helper}
            """)
        self.start_at_lan([sys.executable, "-c", ECHO])
        self.dhcp = self.start_at_lan(shlex.split(DHCP))
        self._wait_for_lan()

    def _first_process(self, words: list[str], inside: int | None = None) -> int:
        """Make namespaces around a process that does nothing, and return its number as it is seen from here."""
        guarded = ["setpriv", "--pdeathsig", "KILL", *self._entering(inside), "unshare", *words]
        process = subprocess.Popen([*guarded, "sh", "-c", FIRST_PROCESS], stdout=subprocess.PIPE, env=ADMINISTRATORS)
        self._started.append(process)
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            pytest.skip("namespaces cannot be made here")
        at = process.pid
        while children := Path(f"/proc/{at}/task/{at}/children").read_text().split():
            at = int(children[0])
        return at

    def _entering(self, pid: int | None) -> list[str]:
        if pid is None:
            return []
        user = [] if self._as_root else ["--user", "--preserve-credentials"]
        return ["nsenter", f"--target={pid}", *user, "--net", "--mount", f"--pid=/proc/{self.pid}/ns/pid_for_children"]

    def inside(self, words: Sequence[str], at_lan: bool = False) -> list[str]:
        """A command line that runs at the machine, or at its LAN, as an administrator's."""
        return [*self._entering(self.lan_pid if at_lan else self.pid), *words]

    @staticmethod
    def _seen_inside(pid: int) -> int:
        """The number of a process in the innermost of its PID namespaces."""
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(line for line in status if line.startswith("NSpid")).split()[-1])

    def type(self, commands: str) -> str:
        """What an administrator's commands print; they have to succeed."""
        return self._typed(self.pid, commands)

    def type_at_lan(self, commands: str) -> str:
        return self._typed(self.lan_pid, commands)

    def _typed(self, pid: int, commands: str) -> str:
        words = [*self._entering(pid), "sh", "-ec", textwrap.dedent(commands)]
        done = subprocess.run(words, env=ADMINISTRATORS, capture_output=True, text=True, check=False, timeout=limit(60))
        assert done.returncode == 0, f"{commands}\n{done.stderr}"
        return done.stdout

    def start_at_lan(self, words: list[str]) -> subprocess.Popen[bytes]:
        """Start a server on the LAN; it ends with the machine."""
        log = (self.folder / f"server-{len(self._started)}.log").open("wb")
        with log:
            inside = [*self._entering(self.lan_pid), *words]
            self._started.append(subprocess.Popen(inside, env=ADMINISTRATORS, stdout=log, stderr=log))
        return self._started[-1]

    def _wait_for_lan(self) -> None:
        def ready() -> bool:
            listening = self.type_at_lan("cat /proc/net/udp /proc/net/tcp")
            return all(f":{port:04X} " in listening for port in (67, 53, 7007))

        Deadline(10, "the LAN's servers").wait_until(ready, interval_seconds=0.1)

    @staticmethod
    def stop(started: "subprocess.Popen[bytes]") -> None:
        """End a program at once; it is the child of the nsenter that we started.

        nsenter ends after its child: before that the child may still hold a port that somebody else wants.
        """
        for child in Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                started.wait(limit(5))
        started.kill()
        started.wait()

    @property
    def made_by_root(self) -> bool:
        return self._as_root

    def plant(self, fault: OnHost) -> None:
        """Break the machine or its LAN."""
        if fault.stops_dhcp or fault.dhcp_options:
            self.stop(self.dhcp)
        if fault.dhcp_options:
            self._serve_dhcp(fault.dhcp_options)
        self.become = fault.become
        self.type(fault.typed)
        self.type_at_lan(fault.at_lan)
        self._at_work = [self.start_at_lan([sys.executable, "-c", fault.lan_program])] if fault.lan_program else []

    def mend(self, fault: OnHost, remedy: str) -> None:
        """Do what the report says, word for word, or where that is no command what it means."""
        command = remedy.replace("sudo ", "").partition(", or ")[0].partition("; ")[0]
        self.type(command if fault.mended is None else fault.mended)
        self.type_at_lan(fault.mended_at_lan)
        self.become = ()
        for program in self._at_work:
            self.stop(program)
        if fault.dhcp_options:
            self.stop(self.dhcp)
        if fault.stops_dhcp or fault.dhcp_options:
            self._serve_dhcp()

    def _serve_dhcp(self, options: str = "") -> None:
        """With further options, of which another range replaces the usual one."""
        usual = DHCP.replace(RANGE, "") if "--dhcp-range" in options else DHCP
        self.dhcp = self.start_at_lan(shlex.split(f"{usual} {options}"))
        self._wait_for_lan()

    def qemunet(
        self, *words: str, uid: int | None = None, timeout: float = limit(100)
    ) -> "subprocess.CompletedProcess[str]":
        """Run the command at the machine: as an ordinary user where there can be one, else as its only one, root."""
        return subprocess.run(
            self._command(words, uid), cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=timeout
        )

    def begin(self, *words: str) -> "subprocess.Popen[bytes]":
        """Begin a run at the machine."""
        given = ["run", "--target", "host", "--accel", "tcg", *words, *([] if self._as_root else ["--as", "root"])]
        quiet = subprocess.DEVNULL
        self._started.append(subprocess.Popen(self._command(given, None), cwd=CHECKOUT, stdout=quiet, stderr=quiet))
        return self._started[-1]

    def wait_for(self, awaited: str, commands: str) -> None:
        """Wait until commands at the machine succeed."""
        words = [*self._entering(self.pid), "sh", "-c", commands]

        def succeed() -> bool:
            return subprocess.run(words, env=ADMINISTRATORS, capture_output=True, check=False).returncode == 0

        # Whatever else the machine that these tests run on has to do meanwhile.
        Deadline(180, awaited).wait_until(succeed, interval_seconds=0.1)

    def leftovers(self) -> str:
        """What of a run is still there: processes, folders, taps."""
        return self.type(
            "ps ax | grep -E '[q]emu-system|[q]emunet_tests|[s]mbd -' || true\n"
            "ls /dev/shm; ls /sys/class/net | grep tap || true"
        )

    def server_log(self) -> str:
        """What the LAN's DHCP server said."""
        return "".join(file.read_text(errors="replace") for file in self.folder.glob("server-*.log"))

    def _command(self, words: Sequence[str], uid: int | None) -> list[str]:
        uid = (NOBODY if self._as_root else 0) if uid is None else uid
        become = [*([f"--reuid={uid}", f"--regid={uid}", "--clear-groups"] if self._as_root else []), *self.become]
        path = ORDINARY_PATH if uid or not self._as_root else f"{ORDINARY_PATH}:{SYSTEM_PATH}"
        environment = [f"PATH={path}", "HOME=/nonexistent", "PYTHONDONTWRITEBYTECODE=1", f"PYTHONPATH={CHECKOUT}"]
        environment += [f"QEMUNET_CACHE={self._cache}"] if self._cache else []
        command = [sys.executable, "-m", "qemunet_tests", *words]
        entering = [*self._entering(self.pid), "setpriv", *become, "--", "env", "-i", *environment]
        return [*entering, *command]

    def run(self, *words: str, uid: int | None = None, report: Path | None = None) -> dict[str, dict[str, Any]]:
        """The verdicts of `qemunet run --target host` by claim; what it printed is kept in `said`."""
        report = report or self.folder / f"report-{len(list(self.folder.glob('report-*')))}"
        given = ["run", "--target", "host", "--accel", "tcg", "--report", str(report), *words]
        if not self._as_root:
            given += ["--as", "root"]
        done = self.qemunet(*given, uid=uid)
        self.said, self.status = done.stdout + done.stderr, done.returncode
        file = report / "results.json"
        assert file.is_file(), self.said
        self.results = json.loads(file.read_text())
        return {each["claim"]: each for each in self.results["verdicts"]}

    def doctor(self, uid: int | None = None) -> dict[str, dict[str, Any]]:
        """What `qemunet doctor` says, by capability."""
        said = json.loads(self.qemunet("doctor", "--json", uid=uid).stdout)
        return {each["id"]: each for each in said["capabilities"]}

    def close(self) -> None:
        # What holds the namespaces, the last made first; all that is in them goes with it.
        for process in reversed(self._started):
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()
        shutil.rmtree(self.folder)
