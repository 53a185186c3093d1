"""What the documentation promises of forwards from a Unix socket, `hostfwd=unix:PATH-[GUEST]:PORT`."""

import contextlib
import socket

import pytest

from qemunet_tests.conformance.promises import promise
from qemunet_tests.modes.user import netdev
from qemunet_tests.observe.forwarding import forwards, monitor_says, words_over
from qemunet_tests.observe.station_end import PATIENCE_SECONDS

SERVICE = 7007


def rule_of(path):
    return f"unix:{path}-:{SERVICE}"


def crossed(stack, path):
    """What becomes of words through the forward, or why nobody can call it."""
    with socket.socket(socket.AF_UNIX) as calling:
        calling.settimeout(PATIENCE_SECONDS)
        try:
            calling.connect(str(path))
        except OSError as refusal:
            return refusal.strerror
        return str(words_over(stack, calling, SERVICE))


@pytest.mark.parametrize(
    "name", [promise("user/hostfwd-unix", "way.in"), promise("user/hostfwd-unix-hyphen", "way-in-1")]
)
def test_a_unix_socket_leads_to_the_guest(bench, attach_stack, qemus_folder, claim, name):
    path = qemus_folder / name
    tried = bench.attempt(netdevs=[netdev((rule_of(path),))])
    if not tried.started and "-" in name:
        claim.sees("refused")
        assert tried.complaints.refusal.endswith("(Bad guest address)"), str(tried.complaints)
        claim.deviates()
        return
    seen = claim.sees(crossed(attach_stack(rule_of(path)), path))
    assert seen == claim.expected, f"from {path} to the guest: {seen}"


@pytest.mark.claim("user/hostfwd-unix-gone")
def test_the_socket_of_a_qemu_that_quit(attach_stack, qemus_folder, claim):
    path = qemus_folder / "way.in"
    stack = attach_stack(rule_of(path))
    before = crossed(stack, path)
    stack.peer.qemu.quit()
    after = crossed(stack, path)
    claim.sees("gone" if not path.exists() else f"there; a caller: {after}")
    assert before == "both ways", f"while QEMU runs, {before}"
    if path.exists():
        assert after == "Connection refused", f"after QEMU's end, {after}"
        claim.deviates()


@pytest.mark.claim("user/hostfwd-unix-listed")
def test_what_info_usernet_says_of_a_path(attach_stack, qemus_folder, claim):
    path = qemus_folder / "way.in"
    stack = attach_stack(rule_of(path))
    if str(path) in monitor_says(stack.peer, "info usernet"):
        claim.sees("the path")
        return
    listed = forwards(stack.peer)
    claim.sees(", ".join(map(str, listed)) or "nothing")
    first = str(path).encode()
    as_address = (".".join(map(str, first[2:6])), int.from_bytes(first[:2], "big"))
    assert [(each.source, each.target) for each in listed] == [(as_address, ("10.0.2.15", SERVICE))], claim.observed
    claim.deviates()


@pytest.mark.claim("user/hostfwd-unix-removed")
def test_a_path_is_removed(attach_stack, qemus_folder, claim):
    path = qemus_folder / "way.in"
    stack = attach_stack(rule_of(path))
    said = monitor_says(stack.peer, f"hostfwd_remove unix:{path}")
    after = crossed(stack, path)
    claim.sees(f"{said}; a caller: {after}")
    if said == "invalid format":
        assert after == "both ways", f"the forward, called invalid: {after}"
        claim.deviates()
    else:
        assert said.endswith("removed") and after != "both ways", claim.observed


@pytest.mark.claim("user/hostfwd-unix-bad")
def test_paths_that_are_refused(bench, qemus_folder, claim):
    file = qemus_folder / "letter.txt"
    file.write_text("dear reader")
    wrong = {
        "unix:-:7007": "Missing unix socket path",
        rule_of("way.in"): "unix socket path must be absolute",
        rule_of(f"/{'far/' * 40}way.in"): "Unix socket path is too long",
        rule_of(file): "file exists and it's not unix socket",
    }
    said = {rule: bench.attempt(netdevs=[netdev((rule,))]) for rule in wrong}
    refused = sum(not each.started for each in said.values())
    same = "as it was" if file.is_file() and file.read_text() == "dear reader" else "not as it was"
    claim.sees(f"{refused} of {len(wrong)} are refused, the file is {same}")
    for rule, reason in wrong.items():
        assert said[rule].status == 1, f"QEMU starts with the wrong rule {rule}"
        assert said[rule].complaints.refusal.endswith(f"({reason})"), str(said[rule].complaints)
    assert same == "as it was", "QEMU has altered a file that it refuses"


@pytest.mark.claim("user/hostfwd-unix-stale")
def test_a_stale_socket_is_replaced(bench, attach_stack, qemus_folder, claim):
    path = qemus_folder / "way.in"
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as earlier:
        earlier.bind(str(path))
    bench.identity.owns(path)
    seen = claim.sees(crossed(attach_stack(rule_of(path)), path))
    assert seen == claim.expected, f"in the place of a stale socket: {seen}"
