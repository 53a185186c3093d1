"""Faults of guest forwards: the rules that QEMU is started with, and how connections to them end."""

import re
from collections.abc import Callable

from meta_tests.faults.fault import fault
from meta_tests.faults.frames import FROM_QEMU, FrameShim
from meta_tests.faults.wrapper import alter_netdev
from qemunet_tests.network import Lab

SENTINELS = ("user/guestfwd-bad-address", "user/hostfwd-low-port")


def _rules(lab: Lab, change: Callable[[str], str]) -> None:
    alter_netdev(lab, change, everywhere=True)


@fault(
    "user/guestfwd-command", cause="qemu becomes qemu, then end", sentinels=("user/guestfwd-command-each", *SENTINELS)
)
def other_command(lab: Lab) -> None:
    """A management tool mistakes one command for another."""
    _rules(lab, lambda word: word.replace("-cmd:tr a-z A-Z", "-cmd:cat"))


@fault("user/guestfwd-command-each", cause="3 connections, 1 processes",
       sentinels=("user/guestfwd-command", *SENTINELS))  # fmt: skip
def expanded_on_the_way(lab: Lab) -> None:
    """A shell on the way to QEMU puts its own number where each command was to put its own."""
    _rules(lab, lambda word: word.replace("$$", "4711"))


@fault("user/guestfwd-command-bad", cause="0 bytes, then silence", sentinels=("user/guestfwd-command", *SENTINELS))
def command_that_waits(lab: Lab) -> None:
    """A management tool puts a command that waits for ever in the place of one that is missing."""
    _rules(lab, lambda word: word.replace("-cmd:/no/such/command", "-cmd:sleep 3600"))


@fault("user/guestfwd-device", "user/guestfwd-device-shared", cause="nobody calls",
       sentinels=("user/guestfwd-command", *SENTINELS))  # fmt: skip
def device_that_leads_nowhere(lab: Lab) -> None:
    """A management tool knows no TCP for devices, and takes one that swallows everything."""
    _rules(lab, lambda word: re.sub(r"-tcp:127\.0\.0\.1:\d+", "-null", word))


@fault("user/guestfwd-device-absent", "user/guestfwd-bad-address", "user/guestfwd-tcp-only", "user/guestfwd-bad-port",
       cause="QEMU starts", sentinels=("user/hostfwd-low-port", "user/hostfwd-hex"))  # fmt: skip
def guest_forwards_swallowed(lab: Lab) -> None:
    """A wrapper swallows guest forwards that it does not understand or cannot fulfil."""
    _rules(lab, lambda word: re.sub(r",guestfwd=[^,]*", "", word) if word.count("guestfwd=") == 1 else word)


@fault("user/guestfwd-gateway", cause="Invalid guest forwarding rule 'tcp:10.0.2.2:http",
       sentinels=("user/guestfwd-command", *SENTINELS))  # fmt: skip
def port_by_name(lab: Lab) -> None:
    """A management tool puts a service's name in the place of its port."""
    _rules(lab, lambda word: word.replace("10.0.2.2:80", "10.0.2.2:http"))


@fault(
    "user/guestfwd-twice", cause="Invalid guest forwarding rule 'udp:", sentinels=("user/guestfwd-command", *SENTINELS)
)
def repeated_by_udp(lab: Lab) -> None:
    """A management tool takes a rule that it is given twice for one by TCP and one by UDP."""
    twice = re.compile(r"(guestfwd=tcp:([^,]*)),guestfwd=tcp:\2$")
    _rules(lab, lambda word: twice.sub(r"\1,guestfwd=udp:\2", word))


@fault("user/guestfwd-two-servers", cause="with commands: .*Conflicting/invalid host:port",
       sentinels=("user/guestfwd-command", *SENTINELS))  # fmt: skip
def second_server_elsewhere(lab: Lab) -> None:
    """A management tool moves the second server out of the guest's network."""
    _rules(lab, lambda word: word.replace("10.0.2.101:", "10.0.3.101:"))


@fault("user/guestfwd-command", "user/guestfwd-loopback-down", cause=", then (silence|reset)",
       sentinels=("user/guestfwd-command-each", *SENTINELS))  # fmt: skip
def ends_of_forwards_lost(wire: FrameShim) -> None:
    """The guest is not told of the end of a connection to a guest forward."""
    wire.drop(FROM_QEMU, {"TCP.flags": lambda flags: "F" in flags, "IP.src": "10.0.2.100"})
