"""The doctor at a machine made of namespaces that is broken in several ways at once, and mended as the doctor says."""

import json
import re
import sys
from typing import Any

import pytest

from meta_tests.faults.fault import Fault, OnHost
from meta_tests.samples.host_machine import HostMachine

#: Puts nothing in the place of a file, which is no program then and no file.
NOTHING = "mount --bind /dev/null"
LISTEN = "import socket, signal; s = socket.socket(type=socket.SOCK_{}); {}; signal.pause()"
TAPS = "ls /sys/class/net/br0/brif | grep -q tap"
QEMU = "qemu-system-x86_64 -S -nodefaults -display none -netdev bridge,id=n,br=br0 -device e1000,netdev=n,romfile="
DNSMASQ = (
    "dnsmasq --conf-file=/dev/null --no-daemon --user= --group= --pid-file= --no-resolv --listen-address=127.0.0.1 "
    "--bind-interfaces --no-hosts --address=/localhost/127.0.0.1"
)


def begin(name: str, command: str, until: str) -> str:
    """Start a program that goes on after it was typed, and ends with the machine or by `end`."""
    quiet = ">/dev/null 2>&1 </dev/null"
    return f"(exec setsid {command} {quiet} & echo $! > /dev/shm/{name}); until {until}; do sleep 0.05; done"


def end(name: str, until: str = "true") -> str:
    return f"kill $(cat /dev/shm/{name}); until {until}; do sleep 0.05; done"


def listen(name: str, protocol: str, address: str, port: int) -> str:
    """A program that has a port and answers nobody."""
    kind, more = ("STREAM", "; s.listen()") if protocol == "tcp" else ("DGRAM", "")
    script = LISTEN.format(kind, f"s.bind(('{address}', {port})){more}")
    return begin(name, f'{sys.executable} -c "{script}"', bound(port, protocol))


def bound(port: int, protocol: str) -> str:
    return f"grep -qi ':{port:04X} ' /proc/net/{protocol}"


def broken(check: str, state: str, reason: str, remedy: str, typed: str, mended: str | None = None) -> Fault:
    """What is typed breaks what `check` is about, and the doctor then says so."""
    return Fault(f"{check}-{state}", (check,), reason, OnHost(typed, mended=mended, state=state), remedy)


CLOSED_FOLDER = (
    broken("qemu", "not", "ends at once, because /etc/qemu is closed to this user", "^sudo chmod 0755 /etc/qemu$",
           "chmod 700 /etc/qemu"),
    broken("acl", "not", r"Permission denied \(this user may not enter /etc/qemu\)", "^sudo chmod 0755 /etc/qemu$", ""),
)  # fmt: skip
FOR_A_USER = (
    broken("acl", "not", "bridge.conf cannot be read: Permission denied:", "^sudo chmod 0644 /etc/qemu/bridge.conf$",
           "chmod 600 /etc/qemu/bridge.conf"),
    broken("ssh-port", "caution", "port 2222 is taken by a process of root", "sudo ss -ltnp sport = :2222",
           listen("tcp", "tcp", "127.0.0.1", 2222), end("tcp")),
    broken("other-ports", "caution", "UDP port 2222 is taken by a process of root", "sudo ss -lunp sport = :2222",
           listen("udp", "udp", "127.0.0.1", 2222), end("udp")),
    broken("dns", "caution", "to 127.0.0.1, and nobody listens there", "start the resolver at 127.0.0.1",
           "echo nameserver 127.0.0.1 > /etc/resolv.conf",
           begin("dns", DNSMASQ, bound(53, "udp"))),
    broken("ping", "caution", "guests cannot ping outside", "ping_group_range",
           "sysctl -w net.ipv4.ping_group_range='1 0'"),
    broken("subnet", "caution", r"a route to 10\.0\.2\.0/24 by br0 meets", "net=10.0.3.0/24",
           "ip addr add 10.0.2.9/24 dev br0", "ip addr del 10.0.2.9/24 dev br0"),
    broken("tun", "not", "no /dev/net/tun", "/dev/net/tun|modprobe tun", "mount -t tmpfs none /dev/net",
           "umount /dev/net"),
    broken("smb", "caution", "there is no /usr/sbin/smbd", "samba", f"{NOTHING} /usr/sbin/smbd",
           "umount /usr/sbin/smbd"),
)  # fmt: skip
FOR_ROOT = (
    # While the helper still finds its list.
    broken("default-mac", "caution", r"QEMU's default MAC, .* \(pid \d+\)", "mac=02:71:6e:",
           begin("qemu", QEMU, TAPS), end("qemu", f"! {TAPS}")),
    broken("bridge-firewall", "not", "frames in br0 meet chain FORWARD of table ip filter, which drops by policy",
           "^nft add rule ip filter FORWARD iifname br0 oifname br0 accept$",
           "echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables\n"
           "nft 'table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; "
           "iifname docker0 accept; ct state established,related accept; }; }'"),
    broken("acl", "not", "bridge.conf cannot be read: No such file", "echo 'allow br0'", "rm /etc/qemu/bridge.conf"),
    broken("ssh-port", "caution", r"port 2222 is taken by \S+ \(pid \d+\)", r"^kill \d+, or forward another port",
           listen("tcp", "tcp", "", 2222)),
    broken("dns", "caution", r"to 127\.0\.0\.1, never 9\.9\.9\.9, and it does not answer within", "put another first",
           "printf 'nameserver 127.0.0.1\\nnameserver 9.9.9.9\\n' > /etc/resolv.conf; "
           + listen("silent", "udp", "127.0.0.1", 53), "sed -i 1d /etc/resolv.conf"),
    broken("bridge-mtu", "caution", "uplinks of br0 carry packets of different sizes: up0 1500 and up1 9000",
           "mtu 1500", "ip link add up1 mtu 9000 type veth peer name end1; ip link set end1 up;"
           "ip link set up1 up master br0", "ip link set up1 mtu 1500"),
    broken("bridge-stp", "caution", "spanning tree is on in br0: a new guest is cut off for 30 s", "stp_state 0",
           "ip link set br0 type bridge stp_state 1 forward_delay 1500"),
    broken("reverse-path", "caution", "default routes by br0 and way0, and br0 filters strictly", "rp_filter=2",
           "ip link add way0 type veth peer name way1; ip link set way0 up; ip addr add 192.168.78.2/24 dev way0;"
           "ip route add default via 192.168.78.1 dev way0 metric 500; sysctl -w net.ipv4.conf.br0.rp_filter=1"),
    broken("bridge-managed", "caution", "NetworkManager runs and no unmanaged-devices", "99-qemu.conf",
           "rm -rf /etc/NetworkManager; mkdir -p /etc/NetworkManager/conf.d; cp /bin/sleep /mnt/NetworkManager;"
           + begin("manager", "/mnt/NetworkManager 3600", "pgrep -x NetworkManager"),
           "printf '[keyfile]\\nunmanaged-devices=interface-name:tap*\\n' > /etc/NetworkManager/conf.d/99-qemu.conf"),
    broken("tun", "not", "/dev/net/tun is on a filesystem mounted nodev", "mount -o remount,dev",
           "mkdir /mnt/nodev; mount -t tmpfs -o nodev none /mnt/nodev; mknod -m 666 /mnt/nodev/tun c 10 200;"
           "mount --bind /mnt/nodev/tun /dev/net/tun"),
    broken("kvm", "not", "/dev/kvm is not KVM", "ls -l /dev/kvm", f"{NOTHING} /dev/kvm", "umount /dev/kvm"),
    broken("passt", "not", "there is no passt", "passt", f"{NOTHING} /usr/bin/passt", "umount /usr/bin/passt"),
)  # fmt: skip
#: What a healthy machine of this kind is not fit for whatever is done to it.
NEVER_FINE = ("kvm", "passt")


@pytest.mark.parametrize(
    ("uid", "faults"),
    [
        pytest.param(None, CLOSED_FOLDER, id="a closed folder"),
        pytest.param(None, FOR_A_USER, id="a user"),
        pytest.param(0, FOR_ROOT, id="root"),
    ],
)
def test_what_is_wrong_is_named_and_mended_by_its_remedy(
    machine: HostMachine, uid: int | None, faults: tuple[Fault, ...]
) -> None:
    if uid is None and not machine.made_by_root:
        pytest.skip("a machine that an ordinary user made has no other user than root")
    faults = tuple(fault for fault in faults if _can_be_planted(fault, machine))
    for fault in faults:
        machine.type(fault.planting.typed)
    ill = examine(machine, uid)
    for fault in faults:
        found = ill[fault.breaks[0]]
        assert found["state"] == fault.planting.state, found
        assert fault.is_named_in(found), found
    for fault in faults:
        mended = fault.planting.mended
        machine.type(as_typed(ill[fault.breaks[0]]["remedy"]) if mended is None else mended)
    well = examine(machine, uid)
    for fault in faults:
        found = well[fault.breaks[0]]
        assert not fault.is_named_in(found) if fault.breaks[0] in NEVER_FINE else found["state"] == "ok", found


def _can_be_planted(fault: Fault, machine: HostMachine) -> bool:
    """Whether the machine has what the fault takes away: a program, a device, br_netfilter."""
    if "mknod" in fault.planting.typed and not machine.made_by_root:
        return False
    for place in re.findall(rf"(?:{NOTHING}|echo 1 >) (\S+)", fault.planting.typed):
        if machine.type(f"test -e {place} || echo no").strip():
            return False
    return True


def as_typed(remedy: str) -> str:
    """The command in a remedy, for an administrator who is root already."""
    return re.split(r", or | \(with", remedy.replace("sudo ", ""))[0]


def examine(machine: HostMachine, uid: int | None) -> dict[str, dict[str, Any]]:
    """What the doctor says, by check."""
    done = machine.qemunet("doctor", "--json", uid=uid)
    assert not done.stderr, done.stderr
    return {each["id"]: each for each in json.loads(done.stdout)["capabilities"]}


def test_nothing_leaves_a_machine_whose_resolver_is_elsewhere(machine: HostMachine) -> None:
    """Counted at the LAN, where the resolver is: no question arrives, and nothing else that a program would send."""
    # Bridges tell by IGMP which groups they listen to.
    rule = "ip protocol != igmp counter"
    machine.type_at_lan(f"nft 'table ip counted {{ chain it {{ type filter hook prerouting priority 0; {rule}; }}; }}'")
    count = "nft list table ip counted | grep -o 'packets [0-9]*'"
    assert "packets 0" in machine.type_at_lan(count)
    assert "192.168.77.1; it is on another machine and was not asked" in examine(machine, 0)["dns"]["reason"]
    assert "packets 0" in machine.type_at_lan(count)
    machine.type(begin("dns", DNSMASQ, bound(53, "udp")) + "; echo nameserver 127.0.0.1 > /etc/resolv.conf")
    assert "127.0.0.1, which answers" in examine(machine, 0)["dns"]["reason"]
    machine.type("echo nameserver 198.51.100.7 > /etc/resolv.conf; ip route del default")
    alone = examine(machine, 0)
    assert "198.51.100.7, and it cannot be reached (Network is unreachable)" in alone["dns"]["reason"]
    assert alone["route"]["state"] == "caution"
    assert "packets 0" in machine.type_at_lan(count)
