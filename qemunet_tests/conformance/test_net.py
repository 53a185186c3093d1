"""What options of the network say, whatever the backend is: asked of QEMUs whose machines stand still."""

import re

import pytest

from qemunet_tests.conformance.promises import promise
from qemunet_tests.errors import Unavailable
from qemunet_tests.modes import bridge
from qemunet_tests.observe.network_ends import device_properties, ends_in_words, network_ends
from qemunet_tests.observe.refused_commands import STILL_PC, attempts, counted, not_refused

PC = ("-M", "pc")
MAC = "52:54:00:aa:bb:cc"


def parts(monitor):
    """How many NICs, and the kinds of backends."""
    ends = network_ends(monitor)
    return sum(each.is_nic for each in ends), [each.kind for each in ends if not each.is_nic]


@pytest.mark.claim("net/no-options-default")
def test_without_a_word_there_is_a_nic_with_user_networking(halted, claim):
    ends = network_ends(halted(*PC, defaults=True).monitor)
    nics, backends = [[each for each in ends if each.is_nic is which] for which in (True, False)]
    joined = {each.hub for each in ends} == {0} or [each.peer for each in backends] == [each.name for each in nics]
    claim.sees("one NIC, one user backend, joined" if joined and len(nics) == 1 else ends_in_words(ends))
    assert claim.observed == claim.expected, f"without any option there is {ends_in_words(ends)}"
    assert [each.kind for each in backends] == ["user"], f"behind the NIC is {ends_in_words(ends)}"


@pytest.mark.claim("net/nic-none")
def test_none_is_nothing(halted, claim):
    claim.sees(ends_in_words(network_ends(halted(*PC, "-nic", "none", defaults=True).monitor)))
    assert claim.observed == claim.expected, f"with -nic none there is {claim.observed}"


@pytest.mark.claim("net/one-option-ends-default")
def test_one_option_takes_the_default_away(halted, claim):
    options = ("-net user", "-netdev user,id=x", "-nic user")
    made = {option: parts(halted(*PC, *option.split(), defaults=True).monitor) for option in options}
    words = {0: "no NIC", 1: "one NIC"}
    claim.sees(", ".join(f"{option}: {words.get(nics, f'{nics} NICs')}" for option, (nics, _) in made.items()))
    assert claim.observed == claim.expected, f"beside one option: {claim.observed}"
    assert all(backends == ["user"] for _, backends in made.values()), f"there are more backends: {made}"


@pytest.mark.claim("net/device-keeps-default")
def test_a_device_does_not_take_the_default_away(halted, claim):
    nics, backends = parts(halted(*PC, "-device", "e1000", defaults=True).monitor)
    claim.sees(f"{nics} NICs and {'user networking' if backends == ['user'] else backends}")
    assert claim.observed == claim.expected, f"with -device e1000 alone there are {claim.observed}"


@pytest.mark.claim("net/nic-equals-netdev")
def test_the_short_option_says_what_the_long_ones_say(halted, claim):
    short = halted(*PC, "-nic", f"user,id=lan,model=e1000,mac={MAC},net=10.9.8.0/24").monitor
    long = halted(*PC, "-netdev", "user,id=lan,net=10.9.8.0/24", "-device", f"e1000,netdev=lan,mac={MAC}").monitor
    ours, theirs = device_properties(short, "e1000"), device_properties(long, "e1000")
    differ = sorted(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name))
    claim.sees(f"{', '.join(differ)} differ" if differ else "the same NIC, property by property")
    assert ours, "QEMU shows no NIC"
    assert differ == [], f"-nic makes another NIC than -netdev and -device: {claim.observed}"
    settings = [[each.settings for each in network_ends(monitor)] for monitor in (short, long)]
    assert settings[0] == settings[1], f"the network is another: {settings}"


@pytest.mark.claim("net/nic-backends")
def test_a_nic_for_every_backend(halted, claim):
    backends = {
        "user": "user,net=10.9.8.0/24",
        "socket": "socket,udp=127.0.0.1:7310,localaddr=127.0.0.1:7311",
        "l2tpv3": "l2tpv3,src=127.0.0.1,dst=127.0.0.1,udp=on,srcport=7312,dstport=7313,txsession=1",
        "hubport": "hubport,hubid=3",
    }
    made = {
        kind: network_ends(halted(*PC, "-nic", f"{words},model=e1000,mac={MAC}").monitor)
        for kind, words in backends.items()
    }
    whole = [kind for kind, ends in made.items() if {each.mac for each in ends} >= {MAC}]
    claim.sees(", ".join(whole) or "none")
    assert claim.observed == claim.expected, f"-nic makes a NIC for {claim.observed}"


@pytest.mark.claim("net/nic-bridge")
def test_a_nic_in_a_bridge(halted, target, claim):
    words = f"bridge,br={target.bridge},model=e1000"
    ends = network_ends(halted(*PC, "-nic", words, netdevs=[bridge.netdev(target.bridge)]).monitor)
    tapped = [each.kind for each in ends] == ["nic", "tap"]
    claim.sees("a NIC with a tap" if tapped else ends_in_words(ends))
    assert claim.observed == claim.expected, f"-nic bridge makes {claim.observed}"


@pytest.mark.claim("net/nic-model-help")
def test_the_models_are_listed(bench, claim):
    asked = [bench.printed(*PC, *words) for words in (("-nic", "model=help"), ("-net", "nic,model=help"))]
    listed = [re.findall(r"^([a-zA-Z][\w-]+)(?: .*)?$", each.text, re.MULTILINE) for each in asked]
    alike = listed[0] == listed[1] and {"e1000", "virtio-net-pci"} <= set(listed[0])
    claim.sees(claim.expected if alike else f"{len(listed[0])} and {len(listed[1])} models")
    assert [each.status for each in asked] == [0, 0], f"they end with {[each.status for each in asked]}"
    assert alike, f"the lists are {listed}"


@pytest.mark.claim("net/net-nic-user")
def test_the_old_options_meet_on_a_hub(halted, claim):
    ends = network_ends(halted(*PC, "-net", "nic,model=e1000", "-net", "user").monitor)
    on_hub = sorted(each.model for each in ends if each.hub == 0)
    claim.sees(f"{' and '.join(on_hub) or 'nothing'} on hub 0")
    assert claim.observed == claim.expected, f"-net nic -net user makes {ends_in_words(ends)}"


@pytest.mark.claim("net/net-nic-netdev")
def test_the_old_nic_takes_a_netdev(halted, claim):
    made = halted(*PC, "-netdev", "user,id=lan", "-net", "nic,model=e1000,netdev=lan")
    claim.sees(ends_in_words(network_ends(made.monitor)))
    assert claim.observed == claim.expected, f"-net nic,netdev= makes {claim.observed}"


@pytest.mark.claim("net/net-nic-options")
def test_the_old_nic_takes_its_options(halted, claim):
    words = f"nic,model=virtio-net-pci,netdev=lan,macaddr={MAC},addr=9,vectors=5"
    monitor = halted(*PC, "-netdev", "user,id=lan", "-net", words).monitor
    made, macs = device_properties(monitor, "virtio-net-pci"), [each.mac for each in network_ends(monitor) if each.mac]
    claim.sees(f"{' and '.join(macs)} at {made.get('addr')} with {made.get('vectors', '?').split()[0]} vectors")
    if claim.observed == claim.expected.replace("09.0", "02.0"):
        claim.deviates(name="addr-not-heeded")
        return
    assert claim.observed == claim.expected, f"the NIC is {claim.observed}"


@pytest.mark.claim("net/net-name")
def test_the_old_nic_has_a_name(bench, halted, claim):
    words = ("-net", "nic,model=e1000,name=lan", "-net", "user")
    tried = bench.attempt(*STILL_PC, *words, noted=False)
    if not tried.started:
        claim.sees(tried.complaints.refusal.rpartition(": ")[2])
        assert claim.observed == "Invalid parameter 'name'", str(tried.complaints)
        claim.deviates(name="refused")
        return
    names = [each.name for each in network_ends(halted(*PC, *words).monitor) if each.is_nic]
    claim.sees(f"the NIC is called {' and '.join(names)}")
    assert claim.observed == claim.expected, f"with name=lan {claim.observed}"


@pytest.mark.parametrize(
    "spellings",
    [
        promise("net/json-form", ("-netdev", '{"type": "user", "id": "lan", "net": "10.9.8.0/24", "restrict": true}')),
        promise("net/readconfig", ("-readconfig", "{}/network.cfg")),
    ],
)
def test_another_spelling_says_the_same(halted, qemus_folder, claim, spellings):
    config = '[netdev "lan"]\n  type = "user"\n  net = "10.9.8.0/24"\n  restrict = "on"\n'
    (qemus_folder / "network.cfg").write_text(config)
    told = [word.replace("{}", str(qemus_folder)) for word in spellings]
    wanted = network_ends(halted(*PC, "-netdev", "user,id=lan,net=10.9.8.0/24,restrict=on").monitor)
    made = network_ends(halted(*PC, *told).monitor)
    claim.sees(claim.expected if made == wanted else f"{made} instead of {wanted}")
    assert made == wanted, f"{told[0]} makes {made}, and -netdev in words {wanted}"


@pytest.mark.claim("net/netdev-help")
def test_every_backend_that_is_listed_is_known(bench, claim):
    # A tap runs a script of the machine's, and the two others are joined to programs outside.
    kinds = sorted(bench.qemu.netdevs - {"tap", "bridge", "passt"})
    tried = {kind: bench.attempt("-netdev", f"{kind},id=x", noted=False) for kind in kinds}
    said = {kind: each.complaints.refusal for kind, each in tried.items() if not each.started}
    unknown = [kind for kind, words in said.items() if "accept value" in words or "not compiled" in words or not words]
    claim.sees("each starts or says what it needs" if not unknown else f"{', '.join(unknown)}: {said[unknown[0]]}")
    assert unknown == [], f"of what -netdev help lists {claim.observed}"


@pytest.mark.claim("net/short-booleans")
def test_a_switch_without_a_value(halted, claim):
    seen = []
    for switch, value in (("ipv4", "on"), ("noipv4", "off")):
        qemu = halted(*PC, "-netdev", f"user,id=lan,{switch},ipv6=on")
        warned = any(f"short-form boolean option '{switch}' deprecated" in each for each in qemu.complaints.warnings)
        on = "net" in network_ends(qemu.monitor)[0].settings
        seen.append(f"{switch}: {value}" if warned and on else f"{switch}: {qemu.complaints}")
    claim.sees(f"{', '.join(seen)}, each with a warning")
    assert claim.observed == claim.expected, f"short forms: {', '.join(seen)}"


@pytest.mark.parametrize(
    "reasons",
    [
        promise("net/id-needed", {"-netdev user": "Parameter 'id' is missing"}),
        promise("net/id-unique", {"-netdev user,id=one -netdev user,id=one": "Duplicate ID 'one' for netdev"}),
        promise(
            "net/id-wellformed",
            {
                "-netdev user,id=1x": "Parameter 'id' expects an identifier",
                "-netdev user,id=a/b": "Parameter 'id' expects an identifier",
            },
        ),
        promise(
            "net/unknown-option",
            {
                "-netdev user,id=x,nonsense=1": "Invalid parameter 'nonsense'",
                """-netdev '{"type":"user","id":"x","nonsense":"1"}'""": "Parameter 'nonsense' is unexpected",
                "-nic user,nonsense=1": "Invalid parameter 'nonsense'",
                "-net user,nonsense=1": "Invalid parameter 'nonsense'",
            },
        ),
        promise(
            "net/unknown-type",
            {
                "-netdev nonsense,id=x": "Parameter 'type' does not accept value 'nonsense'",
                "-nic nonsense": "Parameter 'type' does not accept value 'nonsense'",
                "-net nonsense": "Parameter 'type' does not accept value 'nonsense'",
            },
        ),
        promise(
            "net/netdev-in-use",
            {
                "-netdev user,id=x -device e1000,netdev=x -device e1000,netdev=x":
                "Property 'e1000.netdev' can't take value 'x', it's in use",
            },
        ),
        promise(
            "net/netdev-unknown",
            {
                "-device e1000,netdev=nobody": "Property 'e1000.netdev' can't find value 'nobody'",
                "-net nic,netdev=nobody": "netdev 'nobody' not found",
            },
        ),
        promise(
            "net/json-wrong",
            {
                """-netdev '{"type":"user"'""": (
                    "JSON parse error, premature EOI",
                    "JSON parse error, premature end of input",
                ),
                """-netdev '{"type":"user"}'""": "Parameter 'id' is missing",
            },
        ),
        promise(
            "net/nic-options-apart",
            {
                "-nic user,model=e1000,addr=9": "Invalid parameter 'addr'",
                "-nic user,netdev=x": "Invalid parameter 'netdev'",
            },
        ),
        promise(
            "net/removed-options",
            {
                "-redir tcp:1::2": "invalid option",
                "-smb /tmp": "invalid option",
                "-tftp /tmp": "invalid option",
                "-bootp file": "invalid option",
                "-net user,vlan=1": "Invalid parameter 'vlan'",
                "-net nic,vlan=1": "Invalid parameter 'vlan'",
                "-net channel": "Parameter 'type' does not accept value 'channel'",
                "-net dump": "Parameter 'type' does not accept value 'dump'",
                "-netdev dump,id=x": "Parameter 'type' does not accept value 'dump'",
            },
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_its_name(bench, claim, reasons):
    wrong = not_refused(attempts(bench, reasons), reasons)
    claim.sees(counted(len(wrong), len(reasons)))
    assert wrong == [], "; ".join(wrong)


@pytest.mark.claim("net/type-not-built-in")
def test_a_backend_that_was_not_built_in_is_refused(bench, claim):
    if "netmap" in bench.qemu.netdevs:
        raise Unavailable(f"{bench.qemu.path} was built with every backend that it knows", "try another: --qemu PATH")
    reasons = {"-netdev netmap,id=x,ifname=e": "network backend 'netmap' is not compiled into this binary"}
    wrong = not_refused(attempts(bench, reasons), reasons)
    claim.sees(counted(len(wrong), len(reasons)))
    assert wrong == [], "; ".join(wrong)


@pytest.mark.parametrize(
    "words",
    [
        promise("net/warns-netdev-alone", "-M pc -netdev user,id=x"),
        promise("net/warns-nic-alone", "-M pc -device e1000"),
        promise("net/warns-hub-without-nic", "-M pc -net user"),
        promise("net/warns-hub-without-host", "-M pc -net nic"),
        promise("net/warns-nic-not-created", "-M none -nic user,model=e1000"),
    ],
)
def test_what_is_probably_not_meant_is_warned_of(bench, claim, words):
    tried = bench.attempt("-S", *words.split(), noted=False)
    warned = tried.complaints.warnings
    claim.sees(claim.expected if claim.expected in warned else "; ".join(warned) or "no warning")
    assert tried.started, f"QEMU does not start: {tried.complaints}"
    assert claim.observed == claim.expected, f"with {words}: {claim.observed}"
