"""The bridge helper where privileges are confined: services, sandboxes, containers."""

import pytest

from qemunet_tests.errors import Unavailable
from qemunet_tests.modes.bridge import netdev
from qemunet_tests.observe.bridge import STARTED, helper_answer

# On a host, until its operator has named a bridge, nothing of this mode is tried.
pytestmark = pytest.mark.usefixtures("named_bridge")

#: What a helper says that may not make a tap.
POWERLESS = "failed to create tun device: Operation not permitted"
#: As qemu(1) has them: by default nothing is denied that the helper needs.
SANDBOXES = ("on", "on,elevateprivileges=allow")


def answer_to(bench, chosen, *words):
    """What the helper says."""
    return helper_answer(bench.attempt(*words, netdevs=[chosen]))


@pytest.mark.claim("bridge/no-new-privileges")
@pytest.mark.usefixtures("setuid_helper")
def test_no_new_privileges_are_said(bench, target, claim):
    ways = {"with": f"env {bench.helper.path}", "without": f"setpriv --no-new-privs {bench.helper.path}"}
    netdevs = {way: netdev(target.bridge, (f"helper={command}",), unaided=True) for way, command in ways.items()}
    if (said := answer_to(bench, netdevs["with"])) != STARTED:
        raise Unavailable(f"without no_new_privs the helper does not work either: {said}", "see bridge/setuid-works")
    claim.sees(answer_to(bench, netdevs["without"]))
    assert claim.observed == claim.expected, f"under no_new_privs: {claim.observed}"


@pytest.mark.claim("bridge/sandbox")
@pytest.mark.usefixtures("setuid_helper")
def test_the_helper_works_in_a_sandbox(bench, target, claim):
    if not (plain := bench.attempt("-sandbox", "on")).started:
        raise Unavailable(f"this QEMU has no sandbox: {plain.complaints}", "try a QEMU that was built with seccomp")
    if (said := answer_to(bench, netdev(target.bridge, unaided=True))) != STARTED:
        raise Unavailable(f"without a sandbox the helper does not work either: {said}", "see bridge/setuid-works")
    tried = {how: answer_to(bench, netdev(target.bridge, unaided=True), "-sandbox", how) for how in SANDBOXES}
    claim.sees("; ".join(dict.fromkeys(tried.values())))
    if set(tried.values()) == {POWERLESS}:
        claim.deviates(name="no-privileges-gained")
        return
    assert claim.observed == claim.expected, f"in a sandbox: {tried}"


@pytest.mark.claim("bridge/chroot-container")
@pytest.mark.usefixtures("plain_helper")
def test_what_a_container_lacks_is_said(bench, target, without_tun, claim):
    root, other = netdev(target.bridge, admin=True), netdev(target.bridge, unaided=True)
    said = {"with both": answer_to(bench, root), "without NET_ADMIN": answer_to(bench, other)}
    with without_tun():
        said["without a device"] = answer_to(bench, root)
    claim.sees("; ".join(f"{where}: {answer}" for where, answer in said.items()))
    assert claim.observed == claim.expected, f"in a container: {claim.observed}"
