"""Causes that keep QEMU from starting a backend, split where QEMU says the same of several."""

import itertools
import os
import re
from pathlib import Path

from qemunet_tests.diagnosis.failure import Failure
from qemunet_tests.host import acl, ports, process_table
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.observe.process import privileges
from qemunet_tests.qemu.command_line import NetdevRefused

FORWARD = re.compile(r"Could not set up host forwarding rule '(?:tcp|udp)?:[^:]*:(\d+)-")


def port_taken(failure: Failure) -> Obstacle | None:
    """QEMU names the rule and neither the error nor the owner of the port."""
    if not isinstance(failure.error, NetdevRefused):
        return None
    match = FORWARD.search(failure.error.complaints.refusal)
    return ports.read(int(match[1])).obstacle() if match else None


def bridge_not_allowed(failure: Failure) -> Obstacle | None:
    """The helper says `access denied by acl file` or that it failed to parse it."""
    if not failure.on_lan:
        return None
    bridge = failure.target.bridge
    found = acl.read(acl.path_read_by(str(failure.bench.qemu.helper_path)))
    guests = failure.bench.identity
    if acl.unreadable(found) or not guests.may_read(Path(found.path)):
        # The helper reads it before it takes up its privilege: root's own eyes prove nothing.
        return Obstacle(f"{found.path} cannot be read by {guests.name}", f"sudo chmod 0644 {found.path}")
    decision = acl.decide(found, bridge)
    if decision.allowed:
        return None
    if found.problem is not None and found.problem_errno is None:
        return Obstacle(decision.reason, f"mend that line in {found.path}")
    if decision.denied_in:
        return Obstacle(decision.reason, f"take that deny out of {decision.denied_in}")
    folder = "" if Path(found.path).parent.is_dir() else f"sudo install -d -m 0755 {Path(found.path).parent} && "
    return Obstacle(decision.reason, f"{folder}echo 'allow {bridge}' | sudo tee -a {found.path}")


def unlisted_allowed(_: Failure) -> Obstacle | None:
    """Something allows bridges that nobody named."""
    decision = acl.decide(acl.read(), "br-unlisted")
    if not decision.allowed:
        return None
    return Obstacle(decision.reason, f"name the bridges that may be used, one `allow` line each, in {acl.DEFAULT_PATH}")


def helper_missing(failure: Failure) -> Obstacle | None:
    """QEMU then says only `bridge helper failed`."""
    helper = Path(failure.bench.qemu.helper_path or "")
    if not failure.on_lan or (helper.is_file() and os.access(helper, os.X_OK)):
        return None
    state = "cannot be executed" if helper.exists() else "does not exist"
    return Obstacle(
        f"{helper}, where this QEMU looks for its bridge helper, {state}", "install the package that has it"
    )


def refused(failure: Failure) -> Obstacle | None:
    """QEMU's own words, where nothing better is known."""
    if not isinstance(failure.error, NetdevRefused):
        return None
    return Obstacle(f"QEMU refused: {failure.error.complaints}")


def forwards(failure: Failure) -> Obstacle | None:
    """A forward that the claim says is not there."""
    listed = failure.guest.monitor.ask("info usernet").splitlines() if failure.guest else []
    rules = [line for line in listed if "HOST_FORWARD" in line]
    return Obstacle(f"QEMU forwards a port: {' '.join(rules[0].split())}", "leave hostfwd out") if rules else None


def started_otherwise(failure: Failure) -> Obstacle | None:
    """A wrapper in QEMU's place, or a configuration file, that adds or takes away network options."""
    if failure.guest is None or failure.on_lan or not failure.guest.nics:
        return None
    words = process_table.words(failure.guest.qemu.process.pid)
    got = [word for option, word in itertools.pairwise(words) if option == "-netdev"]
    asked = [
        word
        for number, nic in enumerate(failure.guest.nics)
        for word in (*nic.netdev.beside(f"net{number}"), nic.netdev.spell(f"net{number}"))
    ]
    if got == asked:
        return None
    return Obstacle(
        f"QEMU was started with -netdev {' '.join(got) or 'left out'} where -netdev {' '.join(asked)} was asked for",
        f"see what stands between: {failure.bench.qemu.path} may be a wrapper",
    )


def privileged(failure: Failure) -> Obstacle | None:
    """More than an ordinary user has: libslirp pings by raw sockets where it can."""
    if failure.guest is None or not failure.guest.nics or failure.guest.nics[0].netdev.shares_network:
        return None
    held = privileges(failure.guest)
    if held.ordinary or failure.guest.nics[0].netdev.capabilities_needed(lambda: True):
        return None
    return Obstacle(str(held), f"run QEMU as an ordinary user, and see: getcap {failure.bench.qemu.path}")
