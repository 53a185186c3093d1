"""What is promised of `-netdev vhost-user`: a PC's firmware as the guest, QEMUs that stand still, and one guest."""

import pytest

from qemunet_tests.conformance.promises import promise
from qemunet_tests.deadline import Deadline
from qemunet_tests.modes.vhost_user import VhostUserNetdev
from qemunet_tests.observe.backends import awaited_events
from qemunet_tests.observe.firmware import first_speaker
from qemunet_tests.observe.lease import lease_of
from qemunet_tests.observe.network_ends import network_ends
from qemunet_tests.observe.reach import echoes
from qemunet_tests.observe.refused_commands import attempts, counted, not_refused, refusal
from qemunet_tests.qemu.netdev import netdev_words

MAC = "52:54:00:aa:bb:cc"
#: A PC with little memory of one kind or the other.
PRIVATE = ("-m", "64M", "-object", "memory-backend-ram,id=ram,size=64M", "-M", "pc,memory-backend=ram")
SHARED = ("-m", "64M", "-object", "memory-backend-memfd,id=ram,size=64M,share=on", "-M", "pc,memory-backend=ram")
ADVICE = "consider using -object memory-backend-file share=on"
RANGE = "vhost-user number of queues must be in range [1, 1024]"
#: QEMU says at once what it says; a machine under load takes longer.
SAYING_SECONDS = 60.0


def at(folder, *options, listens=False):
    """The words for a backend called `lan` at the socket in that folder."""
    return tuple(netdev_words(VhostUserNetdev(str(folder / "socket"), listens, options), "lan"))


def card(model="virtio-net-pci", *options):
    return ("-device", ",".join([model, "netdev=lan", f"mac={MAC}", *options]))


@pytest.mark.lengthy
@pytest.mark.claim("vhost-user/guest")
def test_a_guest_reaches_the_network(leased_guest, network, target, claim):
    address = lease_of(leased_guest).address
    answered = echoes(leased_guest, "TCP", target.neighbour_echo)
    leased = "a lease of the LAN" if network.leases(address) else f"the lease {address}"
    claim.sees(f"{leased}, and the neighbour {'answers' if answered else 'is silent'} by TCP")
    assert claim.observed == claim.expected, f"behind a vhost-user backend there is {claim.observed}"


@pytest.mark.lengthy
@pytest.mark.claim("vhost-user/needs-shared-memory")
def test_frames_pass_by_shared_memory_alone(halted, start_backend, qemus_folder, claim):
    backend = start_backend()
    qemu = halted(*SHARED, *at(qemus_folder), *card())
    qemu.monitor.execute("cont")
    shared = first_speaker(backend) or "nobody"
    qemu.quit()
    while backend.take(0.1):
        pass
    qemu = halted(*PRIVATE, *at(qemus_folder), *card())
    qemu.monitor.execute("cont")
    said = Deadline(SAYING_SECONDS, ADVICE).sees(lambda: ADVICE in qemu.said)
    private = "nobody" if backend.take(0.5) is None else "somebody"
    claim.sees(f"shared: {shared} asks; private: {private}, and QEMU says {'share=on' if said else 'nothing of it'}")
    assert claim.observed == claim.expected, f"by memory of either kind {claim.observed}"


@pytest.mark.lengthy
@pytest.mark.claim("vhost-user/backend-restarts")
def test_another_backend_takes_over(halted, start_backend, qemus_folder, claim):
    backend = start_backend(calls=True)
    qemu = halted(*SHARED, *at(qemus_folder, listens=True), *card())
    qemu.monitor.execute("cont")
    first = first_speaker(backend)
    backend.close()
    claim.sees(f"{first or 'nobody'} asks, {first_speaker(start_backend(calls=True)) or 'nobody'} asks another")
    assert claim.observed == claim.expected, f"when a backend has ended {claim.observed}"


@pytest.mark.claim("vhost-user/events")
def test_events_tell_of_backends(halted, start_backend, qemus_folder, claim):
    backend = start_backend(calls=True)
    qemu = halted(*SHARED, *at(qemus_folder, listens=True), *card())
    qemu.monitor.events()
    backend.close()
    start_backend(calls=True)
    told = [each for each in awaited_events(qemu.monitor, "NETDEV_VHOST_USER_CONNECTED", 5.0) if "VHOST" in each]
    claim.sees(", ".join(told) or "nothing")
    assert claim.observed == claim.expected, f"the monitor tells of {claim.observed}"


@pytest.mark.claim("vhost-user/queues")
def test_there_are_as_many_queues_as_asked_for(halted, start_backend, qemus_folder, claim):
    start_backend(pairs=2)
    monitor = halted(*SHARED, *at(qemus_folder, "queues=2"), *card("virtio-net-pci", "mq=on", "vectors=6")).monitor
    listed = monitor.ask("info network")
    claim.sees(", ".join(each for each in ("vhost-user0", "vhost-user1", "vhost-user2") if f",{each} to " in listed))
    assert claim.observed == claim.expected, f"of queues there are {claim.observed or 'none'}"


@pytest.mark.claim("vhost-user/migration-blocked")
def test_a_machine_is_not_migrated(halted, start_backend, qemus_folder, claim):
    start_backend()
    monitor = halted(*SHARED, *at(qemus_folder), *card()).monitor
    said = refusal(monitor, "migrate", uri="exec:cat>/dev/null")
    claim.sees(said.rpartition("Migration disabled: ")[2] or "it is migrated")
    assert claim.observed == claim.expected, f"of a migration: {claim.observed}"


@pytest.mark.claim("vhost-user/vhostforce")
def test_force_makes_no_difference(halted, start_backend, qemus_folder, claim):
    start_backend()
    made = {}
    for option in ("vhostforce=on", "vhostforce=off", ""):
        qemu = halted(*SHARED, *at(qemus_folder, *filter(None, [option])), *card())
        made[option or "without"] = network_ends(qemu.monitor)
        qemu.quit()
    first, *others = made.values()
    claim.sees("on, off and without: the same" if all(each == first for each in others) else f"{made}")
    assert claim.observed == claim.expected, f"with vhostforce= {claim.observed}"


@pytest.mark.claim("vhost-user/virtio-only")
def test_another_nic_is_refused(bench, start_backend, qemus_folder, claim):
    start_backend()
    made, reason = " ".join((*SHARED, *at(qemus_folder))), "vhost-user requires frontend driver virtio-net-*"
    reasons = {f"{made} -device {model},netdev=lan": reason for model in ("e1000", "rtl8139")}
    wrong = not_refused(attempts(bench, reasons), reasons)
    claim.sees(counted(len(wrong), len(reasons)))
    assert wrong == [], "; ".join(wrong)


@pytest.mark.parametrize(
    "reasons",
    [
        promise(
            "vhost-user/backend-absent",
            {
                "-chardev socket,id=c,path=/nonexistent/socket -netdev vhost-user,id=lan,chardev=c": "Failed to"
                " connect to '/nonexistent/socket': No such file or directory"
            },
        ),
        promise(
            "vhost-user/queues-range",
            {
                "-chardev socket,id=c,path=queues,abstract=on,server=on,wait=off"
                f" -netdev vhost-user,id=lan,chardev=c,{queues}": RANGE
                for queues in ("queues=0", "queues=1025")
            },
        ),
        promise(
            "vhost-user/chardev-needed",
            {
                "-netdev vhost-user,id=lan": "Parameter 'chardev' is missing",
                "-netdev vhost-user,id=lan,chardev=nobody": 'chardev "nobody" not found',
            },
        ),
        promise(
            "vhost-user/needs-unix-chardev",
            {
                "-chardev null,id=c -netdev vhost-user,id=lan,chardev=c": 'chardev "c" is not reconnectable',
                "-chardev socket,id=c,host=127.0.0.1,port=7690,server=on,wait=off"
                " -netdev vhost-user,id=lan,chardev=c": 'chardev "c" does not support FD passing',
            },
        ),
    ],
)
def test_what_cannot_be_is_refused(bench, claim, reasons):
    wrong = not_refused(attempts(bench, reasons), reasons)
    claim.sees(counted(len(wrong), len(reasons)))
    assert wrong == [], "; ".join(wrong)
