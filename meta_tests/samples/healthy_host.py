"""A healthy Debian host with a bridge of one wired card, made of files and of what was tried; and changes of it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from qemunet_tests.doctor import checks
from qemunet_tests.doctor.checks import Capability, other_modes
from qemunet_tests.doctor.host_facts import HostFacts, gather
from qemunet_tests.host.credentials import Credentials
from qemunet_tests.host.devices import KVM, TUN, VHOST_NET, Device
from qemunet_tests.host.firewall import Firewall
from qemunet_tests.host.helper_program import Helper
from qemunet_tests.host.kvm import Kvm
from qemunet_tests.host.ports import LocalPort
from qemunet_tests.host.resolver_query import ResolverState
from qemunet_tests.host.resources import Disk
from qemunet_tests.qemu.kvm_probe import Boot, Trial
from qemunet_tests.qemu.passt import Passt
from qemunet_tests.qemu.qemu_binaries import Emulator
from qemunet_tests.qemu.qemu_facts import Qemu

HELPER = "/usr/lib/qemu/qemu-bridge-helper"
QEMU = Qemu(
    Path("/usr/bin/qemu-system-x86_64"), "10.0.2", "QEMU emulator version 10.0.2", "4.8.0",
    frozenset({"user", "tap", "bridge", "stream"}), frozenset({"kvm", "tcg"}), "pc-i440fx-10.0", HELPER, (),
)  # fmt: skip
EVERY_CAPABILITY = (1 << 41) - 1
ALICE = Credentials(
    uid=1000, effective_uid=1000, gid=1000, effective_gid=1000, groups=(104, 1000), permitted=0, effective=0,
    bounding=EVERY_CAPABILITY, ambient=0, no_new_privileges=False, system_calls_filtered=False,
    in_user_namespace=False,
)  # fmt: skip
ROOT = replace(ALICE, uid=0, effective_uid=0, gid=0, effective_gid=0, permitted=EVERY_CAPABILITY,
               effective=EVERY_CAPABILITY)  # fmt: skip

NET = "/sys/class/net"


def routes(*rows: str) -> str:
    """/proc/net/route, each row being interface, network, gateway and mask."""
    lines = [row.split() for row in rows]
    told = [f"{name}\t{network}\t{gateway}\t0003\t0\t0\t0\t{mask}\t0\t0\t0" for name, network, gateway, mask in lines]
    return "\n".join(["Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT", *told, ""])


#: A Debian host with a bridge of one wired card, as its files show it.
FILES = {
    "/etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\n',
    "/etc/group": "root:x:0:\nkvm:x:104:alice\n",
    "/etc/resolv.conf": "search lan\nnameserver 192.168.1.254\nnameserver 9.9.9.9\n",
    "/etc/qemu/bridge.conf": "allow br0\n",
    "/proc/cpuinfo": "processor\t: 0\nflags\t\t: fpu vmx\n",
    "/proc/meminfo": "MemTotal: 16000000 kB\nMemAvailable: 12000000 kB\n",
    "/proc/self/uid_map": "0 0 4294967295\n",
    "/proc/sys/kernel/osrelease": "6.12.0-1-amd64\n",
    "/proc/sys/net/ipv4/ping_group_range": "0\t2147483647\n",
    "/proc/net/route": routes("br0 00000000 FD01A8C0 00000000", "br0 0001A8C0 00000000 00FFFFFF"),
    "/sys/module/kvm_intel/initstate": "live\n",
    "/sys/class/net/br0/bridge/stp_state": "0\n",
    "/sys/class/net/br0/bridge/forward_delay": "1500\n",
    "/sys/class/net/br0/bridge/nf_call_iptables": "0\n",
    "/sys/class/net/br0/brif/enp0s25/state": "3\n",
    "/sys/class/net/br0/flags": "0x1003\n",
    "/sys/class/net/br0/mtu": "1500\n",
    "/sys/class/net/enp0s25/brport/state": "3\n",
    "/sys/class/net/enp0s25/carrier": "1\n",
    "/sys/class/net/enp0s25/flags": "0x1103\n",
    "/sys/class/net/enp0s25/mtu": "1500\n",
}


def device(path: str, mode: int = 0o660, gid: int = 104, **more: int | None) -> Device:
    group, members = ("kvm", ("alice",)) if gid == 104 else (None, ())
    return Device(path, True, True, mode, 0, gid, group, members, more.get("failed"))


KVM_HERE = Kvm(device(KVM), None, "vmx", False, ("kvm", "kvm_intel"), "x86_64")
KVM_RUNS = Trial(Boot("kvm", "userspace", 1.3), Boot("tcg", "real mode", 1.3))
KVM_HANGS = Trial(Boot("kvm", "real mode", 12.0), Boot("tcg", "userspace", 4.0))

Change = Callable[[HostFacts], HostFacts]


def host(root: Path, files: dict[str, str | None]) -> HostFacts:
    """The healthy host with some of its files changed, or gone where the content is None."""
    for path, content in {**FILES, **files}.items():
        if content is not None:
            place = root / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(content)
    return replace(
        gather(root, environment={}),
        user="alice",
        credentials=ALICE,
        qemu=QEMU,
        kvm=KVM_HERE,
        trial=KVM_RUNS,
        tun=device(TUN, 0o666, 0),
        vhost_net=device(VHOST_NET),
        helper=Helper(HELPER, exists=True, executable=True, mode=0o4755),
        disk=Disk("/var/cache/qemunet", 50000, writable=True),
        programs={"dnsmasq": "/usr/sbin/dnsmasq", "setpriv": "/usr/bin/setpriv"},
        emulators=(Emulator("/usr/bin/qemu-system-x86_64", "10.0.2", ("user", "stream", "bridge", "tap")),),
        smb_server=("/usr/sbin/smbd", True),
        passt=Passt("/usr/bin/passt", "2024_12_11"),
        liveliness=ResolverState("elsewhere"),
        other_ports=(LocalPort(2222, None, protocol="udp"),),
        firewall=Firewall(None),
        tracked=(20, 1000),
    )


def found(facts: HostFacts) -> dict[str, Capability]:
    """What further modes lack is left out: that is asked of this machine, which is no host made of files."""
    known = [check for check in checks.ALL if check not in other_modes.CHECKS]
    return {capability.check.id: capability for capability in checks.look(facts, known)}


def credentials(**changes: object) -> Change:
    return lambda facts: replace(facts, credentials=replace(facts.credentials, **changes))


def helper(**changes: object) -> Change:
    return lambda facts: replace(facts, helper=replace(facts.helper, **changes))


def kvm(**changes: object) -> Change:
    return lambda facts: replace(facts, kvm=replace(facts.kvm, **changes), trial=None)


def machine(**changes: object) -> Change:
    return lambda facts: replace(facts, machine=replace(facts.machine, **changes))


def qemu(**changes: object) -> Change:
    return lambda facts: replace(facts, qemu=replace(QEMU, **changes))


def both(*changes: Change) -> Change:
    def change(facts: HostFacts) -> HostFacts:
        for one in changes:
            facts = one(facts)
        return facts

    return change
