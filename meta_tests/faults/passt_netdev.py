"""Faults of `-netdev passt`: what QEMU is started with, and a monitor that tells otherwise."""

import re
from typing import TYPE_CHECKING

from meta_tests.faults.fault import fault
from meta_tests.faults.monitor import answer_lines
from meta_tests.faults.wrapper import alter_qemu, reworded
from qemunet_tests.network import Lab

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from qemunet_tests.guest.peer import Peer

#: Claims that few faults touch.
OTHERS = ("passt/netdev-help", "passt/path")

MASK_LEFT_OUT = reworded("passt/address-option", ",netmask=255.255.0.0", "", r"1: 255\.255\.255\.0, ", *OTHERS)
MTU_LEFT_OUT = reworded("passt/mtu-option", ",mtu=1400", "", "26: fff0", *OTHERS)
FQDN_LEFT_OUT = reworded("passt/hostname-fqdn", ",fqdn=vm.example.org", "", "81:$", *OTHERS)
WORD_LEFT_OUT = reworded("passt/param", ",param=--mtu,param=1300", "", "26: fff0", *OTHERS)
SEARCH_LEFT_OUT = reworded("passt/dns-option", ",search=b.example", "", r"given: 192\.0\.2\.7 a\.example;", *OTHERS)
SWITCH_LEFT_OUT = reworded("passt/off-switches", ",udp=off", "", "with udp=off .*UDP answer", *OTHERS)
TCP_PORT_LEFT_OUT = reworded(
    "passt/tcp-ports", ",tcp-ports=2301,", ",", r"pass, at \[::\]:2303 ", "passt/udp-ports", *OTHERS
)
UDP_PORT_LEFT_OUT = reworded(
    "passt/udp-ports", ",udp-ports=2301,", ",", r"pass, at \[::\]:2303 ", "passt/tcp-ports", *OTHERS
)
FREEBIND_ADDED = reworded("passt/freebind", "/2320", "/2320,freebind=on", "without: starts", *OTHERS)
SOURCE_LEFT_OUT = reworded(
    "passt/outbound", ",outbound=192.168.1.4", "", r"192\.168\.1\.2 then 192\.168\.1\.2", *OTHERS
)
QUIET_ALWAYS = reworded("passt/quiet", ",quiet=off", "", "is quiet, then is quiet", *OTHERS)
REFUSED_WORD_LEFT_OUT = reworded("passt/start-fails", ",param=--no-such-option", "", "QEMU starts", *OTHERS)
MISSING_LEFT_OUT = reworded("passt/path-missing", ",path=/nonexistent", "", "QEMU starts with passt", "passt/quiet")
ANOTHER_FORM = reworded(
    "passt/net-form", "passt,model=virtio-net-pci", "user,model=virtio-net-pci", "with -nic passt,.*type=nic", *OTHERS
)
NO_VHOST_USER = reworded("passt/vhost-user-model", ",vhost-user=on", "", "QEMU starts", *OTHERS)
REFUSED_OTHERWISE = reworded("passt/vhost-user-private-memory", "vhost-user=on", "vhost-user=maybe", "refused", *OTHERS)


@fault("passt/netdev-help", cause="of passt QEMU says: not listed", sentinels=("passt/port-taken",))
def passt_not_listed(lab: Lab) -> None:
    """A wrapper in QEMU's place lists no backends, and starts as if it knew passt."""

    def instead(words: list[str]) -> list[str]:
        at = next(at for at, word in enumerate(words) if "qemu-system" in word)
        if "help" in words:
            return [*words[:at], "true"]
        asked = next((word for word in words if word.startswith("passt,")), "")
        said = f"qemu: -netdev {asked}: Error creating daemon: /nonexistent"
        return [*words[:at], "sh", "-c", 'echo "$1" >&2; exit 1', "sh", said] if asked else words

    alter_qemu(lab, instead)


@fault("passt/path", cause="QEMU has started process", sentinels=("passt/netdev-help", "passt/quiet"))
def path_left_out(lab: Lab) -> None:
    """A wrapper in QEMU's place knows no `path=`."""
    alter_qemu(lab, lambda words: [re.sub(r",path=[^,]*/passt", "", word) for word in words])


@fault("passt/starts-passt", cause="the backend is connected to nobody", sentinels=("passt/netdev-help",))
def backends_of_passt_not_listed(peer: "Peer") -> None:
    """A monitor lists no backends."""
    answer_lines(peer, "info network", lambda _line, _ask: "")


@fault("passt/dies", cause="a guest has 192.168.1.2, never again", sentinels=OTHERS)
def the_first_passt_named_for_ever(peer: "Peer") -> None:
    """A monitor goes on to name the process that it named first."""
    told: list[str] = []
    answer_lines(peer, "info network", lambda line, ask: told[0] if told else told.append(ask(line)) or told[0])


@fault("passt/dies-for-good", cause="cannot be started again QEMU ends", sentinels=OTHERS)
def qemu_ends_with_its_passt(peer: "Peer") -> None:
    """QEMU has ended, whenever it is asked."""
    if peer.qemu is not None:
        peer.qemu.how_it_ended = lambda: "exit status 1"


@fault("passt/ends-with-qemu", cause="passt goes on after", sentinels=("passt/netdev-help", "passt/quiet"))
def another_process_named(peer: "Peer") -> None:
    """A monitor names a process that outlives QEMU: the first one of where they both are."""
    answer_lines(peer, "info network", lambda line, ask: re.sub(r"to pid \d+", "to pid 1", ask(line)))
