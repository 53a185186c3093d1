"""NICs as QEMU makes them: asked of machines that stand still, and heard by peers."""

import re

import pytest

from qemunet_tests.conformance.promises import promise
from qemunet_tests.modes import user
from qemunet_tests.observe.announcements import announcements
from qemunet_tests.observe.firmware import first_asker, leased_to_firmware
from qemunet_tests.observe.network_ends import device_properties, ends_in_words, network_ends, pci_roms
from qemunet_tests.observe.refused_commands import refusal

PC = ("-M", "pc")
MAC = "52:54:00:aa:bb:cc"
#: What these need besides is not theirs: a switch's name, a host's RDMA device, a bus of virtio's or Xen's own.
NOT_ALONE = {"rocker", "pvrdma"}


def models(bench):
    """Of PCI NICs, as `-device help` lists them."""
    listed = bench.printed("-device", "help").text.partition("Network devices:")[2].partition("\n\n")[0]
    return re.findall(r'^name "([^"]+)", bus PCI', listed, re.MULTILINE)


@pytest.mark.claim("nic/models-listed")
def test_every_model_is_a_device(bench, claim):
    listed = bench.printed("-device", "help").text.partition("Network devices:")[2].partition("\n\n")[0]
    devices = re.findall(r'^name "([^"]+)"(?:.*alias "([^"]+)")?', listed, re.MULTILINE)
    known = {name for names in devices for name in names}
    offered = re.findall(r"^([a-z][\w-]+)(?: .*)?$", bench.printed(*PC, "-nic", "model=help").text, re.MULTILINE)
    strange = sorted(set(offered) - known)
    claim.sees(", ".join(strange) or "all of them are")
    assert len(offered) > 1, f"-nic model=help lists {offered}"
    assert strange == [], f"-device help does not list {claim.observed}"


@pytest.mark.claim("nic/models-made")
def test_every_model_can_be_made(halted, bench, claim):
    # An igb goes first: its virtual functions need addresses on the bus behind its own.
    wanted = sorted((model for model in models(bench) if model not in NOT_ALONE), key=lambda model: model != "igb")
    words = [
        word
        for number, model in enumerate(wanted)
        for word in ("-netdev", f"user,id=n{number}", "-device", f"{model},netdev=n{number},romfile=")
    ]
    made = [each.model for each in network_ends(halted(*PC, *words).monitor) if each.is_nic]
    missing = sorted(set(wanted) - set(made))
    claim.sees(", ".join(missing) or "all of them")
    assert len(wanted) > 1, f"-device help lists {wanted}"
    assert missing == [], f"of the listed models there is no {claim.observed}"


@pytest.mark.claim("nic/default-model")
def test_each_machine_has_a_model_of_its_own(halted, claim):
    made = {
        machine: [each.model for each in network_ends(halted("-M", machine, defaults=True).monitor) if each.is_nic]
        for machine in ("pc", "q35", "isapc", "microvm")
    }
    claim.sees(", ".join(f"{machine} {' and '.join(found) or 'none'}" for machine, found in made.items()))
    assert claim.observed == claim.expected, f"without a model there are {claim.observed}"


@pytest.mark.claim("nic/mac-default")
def test_addresses_count_from_the_same_one(halted, claim):
    words = [
        word for number in range(3) for word in ("-netdev", f"user,id=n{number}", "-device", f"e1000,netdev=n{number}")
    ]
    seen = [" ".join(each.mac for each in network_ends(halted(*PC, *words).monitor) if each.mac) for _ in range(2)]
    claim.sees(f"{seen[0]}, twice" if seen[0] == seen[1] else f"{seen[0]}, and {seen[1]}")
    assert claim.observed == claim.expected, f"without mac= NICs are {claim.observed}"


@pytest.mark.claim("nic/mac-given")
def test_a_nic_speaks_with_its_address(attach_peer, claim):
    words = ("-netdev", "hubport,id=to-card,hubid=0", "-device", f"e1000,id=card,netdev=to-card,mac={MAC}")
    peer = attach_peer(user.netdev(), *PC, *words)
    peer.qemu.monitor.execute("announce-self", initial=20, max=20, rounds=2, step=0)
    macs = dict.fromkeys(each.mac for each in announcements(peer, most=2))
    claim.sees(f"{' and '.join(macs) or 'nobody'} speaks")
    assert claim.observed == claim.expected, f"on the wire {claim.observed}"


@pytest.mark.claim("nic/no-nic")
def test_without_defaults_there_is_no_nic(halted, claim):
    claim.sees(ends_in_words(network_ends(halted(*PC).monitor)))
    assert claim.observed == claim.expected, f"with -nodefaults there is {claim.observed}"


@pytest.mark.claim("nic/multifunction")
def test_two_nics_in_one_slot(halted, claim):
    words = "-device e1000,id=one,addr=5.0,multifunction=on,romfile= -device rtl8139,id=other,addr=5.1,romfile="
    monitor = halted(*PC, *words.split()).monitor
    claim.sees(" and ".join(device_properties(monitor, model).get("addr", "none") for model in ("e1000", "rtl8139")))
    assert claim.observed == claim.expected, f"the NICs are at {claim.observed}"


@pytest.mark.claim("nic/romfile-empty")
def test_a_nic_may_have_no_rom(halted, claim):
    roms = [pci_roms(halted(*PC, "-device", f"e1000{option}").monitor) for option in ("", ",romfile=", ",rombar=0")]
    with_rom, *without = ["a ROM" if found else "none" for found in roms]
    claim.sees(f"{with_rom}; romfile=: {without[0]}; rombar=0: {without[1]}")
    assert claim.observed == claim.expected, f"of ROMs the NIC has {claim.observed}"


@pytest.mark.claim("nic/queue-sizes")
def test_queues_have_the_sizes_that_were_asked_for(halted, claim):
    words = "virtio-net-pci,rx_queue_size=512,tx_queue_size=256"
    made = device_properties(halted(*PC, "-device", words).monitor, "virtio-net-device")
    claim.sees(" and ".join(made.get(f"{way}_queue_size", "?").split()[0] for way in ("rx", "tx")))
    assert claim.observed == claim.expected, f"the queues have {claim.observed} places"


@pytest.mark.claim("nic/device-add")
def test_a_nic_is_plugged_in(halted, claim):
    monitor = halted(*PC, "-netdev", "user,id=lan").monitor
    monitor.execute("device_add", driver="e1000", id="card", netdev="lan", mac=MAC)
    claim.sees(ends_in_words(network_ends(monitor)))
    assert claim.observed == claim.expected, f"after device_add there is {claim.observed}"


@pytest.mark.claim("nic/rx-filter")
def test_the_monitor_tells_what_a_nic_hears(halted, claim):
    words = f"-device virtio-net-pci,id=card,mac={MAC} -device e1000,id=other"
    monitor = halted(*PC, *words.split()).monitor
    heard = monitor.execute("query-rx-filter", name="card")[0]["main-mac"]
    said = refusal(monitor, "query-rx-filter", name="other")
    claim.sees(f"{heard}; e1000 {'refused' if 'rx-filter querying' in said else said or 'told'}")
    assert claim.observed == claim.expected, f"query-rx-filter says {claim.observed}"


@pytest.mark.claim("nic/failover-standby")
def test_the_primary_of_a_pair_is_hidden(halted, claim):
    words = (
        "-netdev user,id=lan -device virtio-net-pci,id=standby,netdev=lan,failover=on "
        "-device pcie-root-port,id=root,chassis=1 -netdev user,id=other "
        "-device e1000e,id=primary,bus=root,netdev=other,failover_pair_id=standby"
    )
    ends = network_ends(halted("-M", "q35", *words.split()).monitor)
    shown = [each for each in ends if each.name not in ("other",)]
    hidden = "no e1000e" if not [each for each in ends if each.model == "e1000e"] else "the e1000e"
    claim.sees(f"{ends_in_words(shown)}, and {hidden}")
    assert claim.observed == claim.expected, f"of a pair there is {claim.observed}"


@pytest.mark.lengthy
@pytest.mark.parametrize(
    "cards",
    [
        promise("nic/network-boot", ("mac=52:54:00:aa:bb:01",)),
        promise("nic/boot-index", ("mac=52:54:00:aa:bb:01,bootindex=2", "mac=52:54:00:aa:bb:02,bootindex=1")),
        promise("nic/rom-off", ("mac=52:54:00:aa:bb:01,bootindex=1,romfile=", "mac=52:54:00:aa:bb:02,bootindex=2")),
    ],
)
def test_the_firmware_asks_by_the_first_nic_that_boots(attach_peer, claim, cards):
    words = [
        word
        for number, card in enumerate(cards)
        for word in ("-netdev", f"hubport,id=c{number},hubid=0", "-device", f"e1000,netdev=c{number},{card}")
    ]
    peer = attach_peer(user.netdev(), *PC, *words)
    claim.sees(f"{first_asker(peer) or 'nobody'} asks")
    assert claim.observed == claim.expected, f"of the firmware {claim.observed}"


@pytest.mark.claim("nic/twenty-seven-pci")
def test_a_pc_has_room_for_many(halted, claim):
    words = [
        word
        for number in range(27)
        for word in ("-netdev", f"user,id=n{number}", "-device", f"virtio-net-pci,netdev=n{number},romfile=")
    ]
    ends = network_ends(halted(*PC, *words).monitor)
    nics = [each for each in ends if each.is_nic]
    macs, joined = {each.mac for each in nics}, [each for each in ends if each.peer]
    claim.sees(f"{len(nics)} NICs, {len(macs)} MACs, {len(joined)} backends")
    assert claim.observed == claim.expected, f"of 27 NICs there are {claim.observed}"


@pytest.mark.lengthy
@pytest.mark.parametrize("resets", [promise("hubport/nic-on-hub", 0), promise("nic/reset", 1)])
def test_a_nic_is_leased_its_address(attach_peer, claim, resets):
    card = "52:54:00:aa:bb:01"
    peer = attach_peer(user.netdev(), *PC, "-netdev", "hubport,id=c,hubid=0", "-device", f"e1000,netdev=c,mac={card}")
    said = [f"{first_asker(peer) or 'nobody'} has {leased_to_firmware(peer) or 'none'}"]
    for _ in range(resets):
        peer.qemu.monitor.execute("system_reset")
        again = first_asker(peer)
        assert again in (card, None), f"after a reset {again} asks"
        said.append(f"again {leased_to_firmware(peer) if again else 'none'}")
    claim.sees(", ".join(said))
    assert claim.observed == claim.expected, f"at a hub with two backends {claim.observed}"
