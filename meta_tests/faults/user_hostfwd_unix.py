"""Faults of forwards from a Unix socket: their paths, and what the monitor says of them."""

import re
from typing import TYPE_CHECKING

from meta_tests.faults.fault import fault
from meta_tests.faults.monitor import answer_lines
from meta_tests.faults.wrapper import alter_netdev
from qemunet_tests.network import Lab

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from qemunet_tests.guest.peer import Peer

SENTINELS = ("user/hostfwd-unix-bad", "user/hostfwd-hex")


@fault("user/hostfwd-unix", "user/hostfwd-unix-stale", "user/hostfwd-unix-gone",
       cause="No such file or directory|Connection refused",
       sentinels=("user/hostfwd-unix-hyphen", *SENTINELS))  # fmt: skip
def paths_moved(lab: Lab) -> None:
    """A management tool puts the sockets of forwards elsewhere than it was told."""
    alter_netdev(lab, lambda word: word.replace("/way.in-:", "/other.way-:"), everywhere=True)


@fault("user/hostfwd-unix-hyphen", cause="No such file or directory", sentinels=("user/hostfwd-unix", *SENTINELS))
def paths_cut_at_hyphens(lab: Lab) -> None:
    """A management tool ends a path at its first hyphen."""
    alter_netdev(lab, lambda word: word.replace("/way-in-1-:", "/way-:"), everywhere=True)


@fault("user/hostfwd-unix-listed", cause="^nothing",
       sentinels=("user/hostfwd-unix", "user/hostfwd-unix-hyphen", "user/hostfwd-unix-bad"))  # fmt: skip
def forwards_not_listed(peer: "Peer") -> None:
    """A monitor lists no forward."""
    answer_lines(peer, "info usernet", lambda line, ask: re.sub(r"\n.*HOST_FORWARD.*", "", ask(line)))


@fault("user/hostfwd-unix-removed", cause="removed; a caller: both ways", sentinels=("user/hostfwd-unix", *SENTINELS))
def path_removed_in_words_alone(peer: "Peer") -> None:
    """A monitor says of a forward from a Unix socket that it was removed, and leaves it."""
    answer_lines(
        peer, "hostfwd_remove unix:", lambda line, _: f"host forwarding rule for {line.split()[1]} removed\r\n"
    )


@fault("user/hostfwd-unix-bad", cause="QEMU starts with the wrong rule .*letter.txt",
       sentinels=("user/hostfwd-unix", "user/hostfwd-unix-hyphen", "user/hostfwd-hex"))  # fmt: skip
def files_avoided(lab: Lab) -> None:
    """A wrapper takes another path where it finds a file in its way."""
    alter_netdev(lab, lambda word: word.replace("/letter.txt-:", "/letter.txt.new-:"), everywhere=True)
