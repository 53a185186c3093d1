"""What is promised of `smb=DIR` and is not about a guest: where the server is, what QEMU refuses, what it leaves."""

import pytest

from qemunet_tests.modes.user import netdev
from qemunet_tests.observe.peer_stream import exchange
from qemunet_tests.observe.smb import left_of_servers
from qemunet_tests.observe.smb_negotiation import ENOUGH_BYTES, SERVER_SECONDS, chosen, request

SERVER = "10.0.2.4"
#: NetBIOS over TCP, and SMB itself: RFC 1001 and what Windows 2000 began.
PORTS = (139, 445)


def spoken_at(stack, address, port):
    """What is agreed on with the server at a port, or why nothing is."""
    became = exchange(stack, address, port, request(), ENOUGH_BYTES, SERVER_SECONDS)
    return chosen(became.received) if became.outcome == "opened" else became.outcome


@pytest.mark.claim("user/smb-two-ports")
def test_the_server_is_at_both_ports(shared_folder, attach_stack, claim):
    stack = attach_stack(options=(f"smb={shared_folder}",))
    claim.sees("; ".join(f"{port}: {spoken_at(stack, SERVER, port)}" for port in PORTS))
    assert claim.observed == claim.expected, f"at the ports of the server: {claim.observed}"


@pytest.mark.claim("user/smb-address")
def test_the_server_can_be_moved(shared_folder, attach_stack, claim):
    stack = attach_stack(options=(f"smb={shared_folder}", "smbserver=10.0.2.9"))
    found = {address: spoken_at(stack, address, 445) for address in ("10.0.2.9", SERVER)}
    claim.sees("; ".join(f"{address}: {what}" for address, what in found.items()))
    assert claim.observed == claim.expected, f"with smbserver=10.0.2.9: {claim.observed}"


@pytest.mark.claim("user/restrict-smb")
def test_an_isolated_guest_has_its_share(shared_folder, attach_stack, claim):
    stack = attach_stack(options=("restrict=on", f"smb={shared_folder}"))
    assert claim.sees(spoken_at(stack, SERVER, 445)) == claim.expected, f"with restrict=on: {claim.observed}"


@pytest.mark.claim("user/smb-missing-folder")
def test_a_folder_that_is_not_there_is_refused(shared_folder, bench, claim):
    missing = shared_folder / "missing"
    tried = bench.attempt(netdevs=[netdev(options=(f"smb={missing}",))])
    said = tried.complaints.refusal.partition("smb=" + str(missing))[2].lstrip(": ")
    claim.sees("QEMU starts" if tried.started else said.replace(str(missing), "DIR"))
    assert tried.status == 1, f"with smb= of a folder that is not there: {claim.observed}"
    assert claim.observed == claim.expected, f"QEMU refuses with: {tried.complaints}"


@pytest.mark.claim("user/smb-missing-program")
def test_without_the_program_smb_is_refused(without_smbd, served_folder, bench, claim):
    tried = bench.attempt(netdevs=[netdev(options=(f"smb={served_folder}",))])
    said = tried.complaints.refusal.partition("smb=" + str(served_folder))[2].lstrip(": ")
    claim.sees("QEMU starts" if tried.started else said.replace(without_smbd, "SMBD"))
    assert tried.status == 1, f"without smbd: {claim.observed}"
    assert claim.observed == claim.expected, f"QEMU refuses with: {tried.complaints}"


@pytest.mark.claim("user/smb-leaves-nothing")
def test_what_qemu_made_for_the_server_is_gone_with_it(shared_folder, attach_user_peer, claim):
    left = {}
    for how, end in (("quit", lambda qemu: qemu.quit()), ("kill -9", lambda qemu: qemu.kill())):
        qemu = attach_user_peer(f"smb={shared_folder}").qemu
        made = left_of_servers(qemu)
        assert len(made) == 1, f"for smb= QEMU has made {made}"
        end(qemu)
        left[how] = "gone" if not left_of_servers(qemu) else "left"
    claim.sees("; ".join(f"after {how}: {what}" for how, what in left.items()))
    if claim.observed == "after quit: gone; after kill -9: left":
        claim.deviates()
    else:
        assert claim.observed == claim.expected, f"of what QEMU made for the server: {claim.observed}"
