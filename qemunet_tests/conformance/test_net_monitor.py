"""What is promised of backends and NICs at run time: what the monitor adds, removes, refuses and tells."""

import itertools

import pytest

from qemunet_tests.conformance.promises import promise
from qemunet_tests.modes import user
from qemunet_tests.observe.announcements import announcements
from qemunet_tests.observe.network_ends import ends_in_words, network_ends
from qemunet_tests.observe.refused_commands import counted, refusal
from qemunet_tests.qemu.qmp_schema import options_in

PC = ("-M", "pc")
MAC = "52:54:00:aa:bb:cc"
#: Options of QEMU's monitor, and the version of each.
FIRST_IN = {
    "netdev stream addr": (7, 2), "netdev dgram local": (7, 2), "netdev user ipv6-prefix": (2, 6),
    "netdev stream reconnect-ms": (9, 2), "netdev passt": (10, 1), "netdev user hostfwd": (1, 2),
    "command announce-self interfaces": (4, 1),
}  # fmt: skip


@pytest.mark.claim("net/qmp-add-del")
def test_a_backend_comes_and_goes(halted, claim):
    monitor = halted(*PC).monitor
    monitor.execute("netdev_add", type="user", id="lan")
    came = [each.kind for each in network_ends(monitor)]
    monitor.execute("netdev_del", id="lan")
    claim.sees(f"{', '.join(came) or 'nothing'} added, {ends_in_words(network_ends(monitor))} after that")
    assert claim.observed == claim.expected, f"by the monitor: {claim.observed}"


@pytest.mark.parametrize(
    ("words", "reasons"),
    [
        promise(
            "net/qmp-add-del-errors",
            ("-netdev", "user,id=lan"),
            {
                ("netdev_add", "user", "lan"): "Duplicate ID 'lan'",
                ("netdev_add", "nonsense", "x"): "Parameter 'type' does not accept value 'nonsense'",
                ("netdev_del", None, "nobody"): "Device 'nobody' not found",
            },
        ),
        promise("net/set-link-unknown", (), {("set_link", None, "nobody"): "Device 'nobody' not found"}),
    ],
)
def test_the_monitor_refuses_what_cannot_be(halted, claim, words, reasons):
    monitor, wrong = halted(*PC, *words).monitor, []
    for (command, kind, name), reason in reasons.items():
        arguments = {"name": name, "up": False} if command == "set_link" else {"id": name}
        said = refusal(monitor, command, **arguments, **({"type": kind} if kind else {}))
        wrong += [] if said.endswith(reason) else [f"{command} {name}: {said or 'done'}"]
    claim.sees(counted(len(wrong), len(reasons)))
    assert wrong == [], f"the monitor says {'; '.join(wrong)}"


@pytest.mark.claim("net/netdev-del-leaves-nic")
def test_a_nic_outlives_its_backend(halted, claim):
    monitor = halted(*PC, "-netdev", "user,id=lan", "-device", "e1000,netdev=lan").monitor
    monitor.execute("netdev_del", id="lan")
    nics = [each.model for each in network_ends(monitor) if each.is_nic]
    again = refusal(monitor, "netdev_add", type="user", id="lan") or "its id is free"
    claim.sees(f"{' and '.join(nics) or 'no NIC'} stays, and {again}")
    assert claim.observed == claim.expected, f"after netdev_del {claim.observed}"


@pytest.mark.claim("net/info-network")
def test_the_monitor_names_what_was_set(halted, claim):
    words = ("-netdev", "user,id=lan,net=10.9.8.0/24,restrict=on", "-device", f"e1000,id=card,netdev=lan,mac={MAC}")
    ends = {each.name: each for each in network_ends(halted(*PC, *words).monitor)}
    wanted = {"lan": ("net", "restrict"), "card": ("model", "macaddr")}
    said = [
        ",".join(f"{name}={ends[end].settings.get(name)}" for name in names) if end in ends else f"no {end}"
        for end, names in wanted.items()
    ]
    claim.sees("; ".join(said))
    assert claim.observed == claim.expected, f"info network says {claim.observed}"


@pytest.mark.claim("net/schema-tells-version")
def test_the_schema_has_what_the_version_has(halted, bench, claim):
    listed = options_in(halted().monitor.execute("query-qmp-schema"))
    version = tuple(int(part) for part in bench.qemu.version.split(".")[:2])
    # Distributions take options into earlier versions, and leave backends out: neither is against the promise.
    expected = [each for each, first in FIRST_IN.items() if version >= first]
    missing = [each for each in expected if each not in listed and _is_built_in(each, bench.qemu)]
    claim.sees(f"{', '.join(missing)} missing" if missing else "as its version says")
    assert missing == [], f"in the schema of QEMU {bench.qemu.version} there is no {', '.join(missing)}"


def _is_built_in(option, qemu):
    kind, name = option.split()[:2]
    return kind != "netdev" or name in qemu.netdevs


@pytest.mark.parametrize(
    ("told", "cards"),
    [
        promise("net/announce", {}, {"card": MAC}),
        promise("net/announce-interface", {"interfaces": ["second"]}, {"card": MAC, "second": "52:54:00:aa:bb:02"}),
    ],
)
def test_a_nic_announces_itself(attach_peer, claim, told, cards):
    pairs = [
        ("-netdev", f"hubport,id=to-{card},hubid=0", "-device", f"e1000,id={card},netdev=to-{card},mac={mac}")
        for card, mac in cards.items()
    ]
    peer = attach_peer(user.netdev(), *PC, *itertools.chain(*pairs))
    peer.qemu.monitor.execute("announce-self", initial=20, max=20, rounds=3, step=0, **told)
    heard = announcements(peer, most=4)
    macs = dict.fromkeys(each.mac for each in heard if each.is_gratuitous)
    claim.sees(f"{len(heard)} frames of {' and '.join(macs) or 'nobody'}")
    assert claim.observed == claim.expected, f"after announce-self: {claim.observed}"
