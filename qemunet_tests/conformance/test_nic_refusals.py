"""NICs that QEMU refuses, on its command line and by its monitor, and what it says of them."""

import pytest

from qemunet_tests.conformance.promises import promise
from qemunet_tests.observe.refused_commands import attempts, counted, not_refused, refusal

LAN = "-netdev user,id=x"
SIZES = "Invalid {0}_queue_size (= {1}), must be a power of 2 between 256 and {2}"


@pytest.mark.parametrize(
    "reasons",
    [
        promise(
            "nic/mac-bad",
            {
                "-nic user,mac=zz": "invalid syntax for ethernet address",
                f"{LAN} -device e1000,netdev=x,mac=zz": "Property 'e1000.mac' doesn't take value 'zz'",
                f"{LAN} -device e1000,netdev=x,mac=52:54:00:12:34":
                "Property 'e1000.mac' doesn't take value '52:54:00:12:34'",
            },
        ),
        promise(
            "nic/eight-on-board",
            {" ".join(["-nic user"] * 9): "no more on-board/default NIC slots available"},
        ),
        promise(
            "nic/unknown-device",
            {
                "-device nonsense": "'nonsense' is not a valid device model name",
                "-device e1000,nonsense=1": "Property 'e1000.nonsense' not found",
            },
        ),
        promise(
            "nic/rx-tx-queue-size",
            {
                "-device virtio-net-pci,rx_queue_size=100": SIZES.format("rx", 100, 1024) + ".",
                "-device virtio-net-pci,rx_queue_size=128": SIZES.format("rx", 128, 1024) + ".",
                "-device virtio-net-pci,rx_queue_size=2048": SIZES.format("rx", 2048, 1024) + ".",
                # Newer ones tell what the backend takes, which is less without one.
                "-device virtio-net-pci,tx_queue_size=100": tuple(
                    SIZES.format("tx", 100, most) for most in (1024, 256)
                ),
            },
        ),
        promise(
            "nic/speed-duplex-bad",
            {
                "-device virtio-net-pci,speed=-5": "'speed' must be between 0 and INT_MAX",
                "-device virtio-net-pci,duplex=nonsense": "'duplex' must be 'half' or 'full'",
            },
        ),
        promise(
            "nic/slot-taken",
            {
                "-device e1000,addr=5 -device e1000,addr=5":
                "PCI: slot 5 function 0 not available for e1000, in use by e1000,id=(null)",
                "-device e1000,addr=40": "Property 'e1000.addr' doesn't take value '40'",
            },
        ),
        promise(
            "nic/function-alone",
            {
                "-device e1000,addr=5.0 -device e1000,addr=5.1":
                "PCI: single function device can't be populated in function 5.1"
            },
        ),
        promise(
            "nic/romfile-missing", {"-device e1000,romfile=/nowhere": "failed to find romfile \"/nowhere\""}
        ),
        promise(
            "nic/bootindex-unique",
            {"-device e1000,bootindex=1 -device e1000,bootindex=1": "The bootindex 1 has already been used"},
        ),
        promise(
            "nic/acpi-index-unique",
            {
                "-device e1000,acpi-index=7 -device e1000,acpi-index=7":
                "a PCI device with acpi-index = 7 already exist"
            },
        ),
        promise(
            "nic/failover-primary",
            {"-device e1000,failover_pair_id=other": "failover primary device must be on PCIExpress bus"},
        ),
        promise("nic/usb-needs-bus", {"-device usb-net": "No 'usb-bus' bus found for device 'usb-net'"}),
    ],
)  # fmt: skip
def test_a_nic_that_cannot_be_is_refused(bench, claim, reasons):
    wrong = not_refused(attempts(bench, reasons), reasons)
    claim.sees(counted(len(wrong), len(reasons)))
    assert wrong == [], "; ".join(wrong)


@pytest.mark.claim("nic/unknown-model")
def test_an_unknown_model_is_refused(bench, claim):
    tried = attempts(bench, ("-nic user,model=nonsense", "-net nic,model=nonsense -net user"))
    started = [words for words, each in tried.items() if each.started]
    claim.sees(counted(len(started), len(tried)))
    warned = all(any("was not created" in said for said in each.complaints.warnings) for each in tried.values())
    if len(started) == len(tried) and warned:
        claim.deviates(name="warned-of")
        return
    assert started == [], f"QEMU starts with {', '.join(started)}"
    assert all("nonsense" in each.complaints.refusal for each in tried.values()), "the model is not named"


@pytest.mark.claim("nic/mac-multicast")
def test_a_multicast_address_is_refused(bench, claim):
    commands = {"-nic": "-nic user,mac=01:00:5e:00:00:01", "-device": "-device e1000,mac=01:00:5e:00:00:01"}
    tried = attempts(bench, commands.values())
    refused = {option: not tried[words].started for option, words in commands.items()}
    claim.sees(counted(list(refused.values()).count(False), len(refused)))
    if not all(refused.values()):
        assert refused == {"-nic": True, "-device": False}, f"of a multicast MAC {claim.observed}"
        said = tried[commands["-nic"]].complaints.refusal
        assert said.endswith("NIC cannot have multicast MAC address"), said
        claim.deviates(name="device-takes-it")


@pytest.mark.claim("nic/device-add-errors")
def test_a_nic_that_cannot_be_plugged_in_is_refused(halted, claim):
    words = ("-netdev", "user,id=lan", "-device", "e1000,id=card,netdev=lan")
    monitor = halted("-M", "pc", *words).monitor
    reasons = {
        ("e1000", "card", None): "Duplicate device ID 'card'",
        ("e1000", "second", "nobody"): "Property 'e1000.netdev' can't find value 'nobody'",
        ("nonsense", "fourth", None): "'nonsense' is not a valid device model name",
    }
    said = {
        each: refusal(monitor, "device_add", driver=each[0], id=each[1], **({"netdev": each[2]} if each[2] else {}))
        for each in reasons
    }
    wrong = [
        f"{each[1]}: {said[each] or 'plugged in'}" for each, why in reasons.items() if not said[each].endswith(why)
    ]
    claim.sees(counted(len(wrong), len(reasons)))
    assert wrong == [], f"the monitor says of {'; '.join(wrong)}"
