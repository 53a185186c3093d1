"""What QEMU's user network does wrong is named by the frames at its two sides: builds of libslirp with one bug each."""

import re
from pathlib import Path

import pytest

from meta_tests.mutants.edits import Edit, edits
from meta_tests.mutants.trying import Trees, run

#: One that the table of mutants has not, as others have the same claims break.
NO_ECHO = Edit("libslirp", "ip_icmp.c", "no-echo", "icmp_input", "case ICMP_ECHO:", "case 77:", "No ping is answered.")
#: By the name of the edit: a claim that it breaks, and the cause.
NAMED = {
    "no-ping-socket": (
        "user/icmp-outside-open",
        r"sent nothing for the echo request to (\S+), which was seen at the guest's NIC and not at \S+, though the "
        "host itself asks the same, as the user that QEMU runs as, and is answered",
    ),
    "ping-unread": (
        "user/icmp-outside-open",
        r"did not give the guest the echo reply, which was seen at \S+ and not at the guest's NIC, though the host "
        "itself asks the same, as the user that QEMU runs as, and is answered",
    ),
    "errors-from-the-gateway": (
        "user/traceroute",
        r"told the guest of its packets to (\S+): time exceeded \(type 11, code 0\) from 10.0.2.2, unreachable "
        r"\(type 3, code 3\) from 10.0.2.2; though \S+ brought QEMU time exceeded \(type 11, code 0\) from (\S+), "
        r"unreachable \(type 3, code 3\) from \1, and at the first hop .*",
    ),
    "errors-swallowed": ("user/traceroute", r"told the guest of its packets to .*: .* from 10.0.2.2; though .*"),
    "no-echo": ("user/icmp-outside-open", r"did not answer, though \d+ echo requests for 10\.0\.2\.2 came to it"),
    "packets-born-old": ("user/address", r"offered no address, though \d+ DHCP requests of the guest came to it"),
    "port-of-the-sender": (
        "user/reach-lan-udp",
        r"sent nothing for the UDP datagram to (\S+), which was seen at the guest's NIC and not at \S+, though the "
        "host itself asks the same, as the user that QEMU runs as, and is answered",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMED)
def test_the_cause_is_the_user_network(trees: Trees, open_folder: Path, name: str) -> None:
    claim, cause = NAMED[name]
    (edit,) = (each for each in (NO_ECHO, *edits()) if each.name == name)
    tree = trees.of[edit.program]
    build = tree.built_with(edit.file, edit.apply(tree.file(edit.file).read_text()), open_folder)
    (said,) = run(edit.program, build, [claim], open_folder / "report", 1)
    assert said["verdict"] == "broken", said
    assert re.fullmatch(f"QEMU's user network {cause}", said["reason"]), said
