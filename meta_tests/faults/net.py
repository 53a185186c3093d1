"""Faults of -net, -netdev and -nic: a wrapper that words them otherwise, and a monitor that does other things."""

import re
from collections.abc import Callable
from typing import Any

from meta_tests.faults.fault import fault
from meta_tests.faults.monitor import carry_out, say_yes
from meta_tests.faults.wrapper import reworded
from qemunet_tests.network import Lab
from qemunet_tests.qemu.qmp import Monitor

MAC = "52:54:00:aa:bb:cc"
#: With words of their own.
OTHERS = ("net/net-nic-netdev", "net/qmp-add-del")
MONITOR_OTHERS = ("net/net-nic-netdev", "net/id-unique")

REWORDED = (
    reworded("net/no-options-default", ("-S", "-M", "pc"), ("-S", "-M", "pc", "-nic", "none"),
             "without any option there is nothing", *OTHERS),
    reworded("net/nic-none", ("-nic", "none"), ("-nic", "user"), "there is e1000 with user", *OTHERS),
    reworded("net/one-option-ends-default", ("-nic", "user"), ("-nic", "user", "-nic", "user"),
             "-nic user: 2 NICs", *OTHERS),
    reworded("net/device-keeps-default", ("-device", "e1000"), ("-device", "e1000", "-net", "none"),
             r"there are 1 NICs and \[\]", *OTHERS),
    reworded("net/nic-equals-netdev", f"user,id=lan,model=e1000,mac={MAC}",
             "user,id=lan,model=e1000,mac=52:54:00:0:0:1",
             "another NIC than -netdev and -device: mac differ", *OTHERS),
    reworded("net/nic-backends", f"txsession=1,model=e1000,mac={MAC}", "txsession=1,model=e1000",
             "a NIC for user, socket, hubport", *OTHERS),
    reworded("net/nic-bridge", ("-nic", "bridge,br=br0,model=e1000"), ("-nic", "user,model=e1000"),
             "-nic bridge makes e1000 with user", *OTHERS),
    reworded("net/nic-model-help", ("-nic", "model=help"), ("-device", "help"), "the lists are", *OTHERS),
    reworded("net/net-nic-user", ("nic,model=e1000", "-net", "user"), ("nic,model=e1000", "-netdev", "user,id=x"),
             "makes e1000 on hub 0, user alone", *OTHERS),
    reworded("net/net-nic-netdev", "nic,model=e1000,netdev=lan", "nic,model=e1000",
             "-net nic,netdev= makes e1000 on hub 0, user alone", "net/net-nic-user", "net/qmp-add-del"),
    reworded("net/net-nic-options", ",vectors=5", "", "the NIC is .* with [34] vectors", *OTHERS),
    reworded("net/net-name", ",name=lan", "", r"with name=lan the NIC is called e1000\.0", *OTHERS),
    reworded("net/json-form", '"restrict": true', '"restrict": false', "-netdev makes .*'restrict': 'off'", *OTHERS),
    reworded("net/readconfig", ("-S", "-M", "pc", "-readconfig"),
             ("-S", "-M", "pc", "-netdev", "user,id=more", "-readconfig"), "-readconfig makes .*'more'", *OTHERS),
    reworded("net/manual-examples", ",dnssearch=example.org", ",dnsearch=example.org",
             "QEMU refuses -nic user,dnssearch=mgmt", *OTHERS),
    reworded("net/netdev-help", ("-netdev", "vde,id=x"), ("-netdev", "netmap,id=x,ifname=e"), "vde: .*not compiled",
             *OTHERS),
    reworded("net/short-booleans", "lan,noipv4", "lan,ipv4=off", "short forms: ipv4: on, noipv4: ", *OTHERS),
    reworded("net/id-needed", ("-netdev", "user"), ("-netdev", "user,id=x"), "QEMU starts with -netdev user", *OTHERS),
    reworded("net/id-unique", ("user,id=one", "-netdev", "user,id=one"), ("user,id=one", "-netdev", "user,id=two"),
             "QEMU starts with -netdev user,id=one", *OTHERS),
    reworded("net/id-wellformed", "id=1x", "id=x1", "QEMU starts with -netdev user,id=1x", *OTHERS),
    reworded("net/unknown-option", ",nonsense=1", "", "QEMU starts with .*nonsense=1", *OTHERS),
    reworded("net/unknown-type", ("-netdev", "nonsense,id=x"), ("-netdev", "user,id=x"),
             "QEMU starts with -netdev nonsense", *OTHERS),
    reworded("net/type-not-built-in", "netmap,id=x,ifname=e", "user,id=x", "QEMU starts with -netdev netmap", *OTHERS),
    reworded("net/netdev-in-use", ("e1000,netdev=x", "-device", "e1000,netdev=x"), ("e1000,netdev=x",),
             "QEMU starts with -netdev user,id=x -device", *OTHERS),
    reworded("net/netdev-unknown", "e1000,netdev=nobody", "e1000", "QEMU starts with -device e1000,netdev=nobody",
             *OTHERS),
    reworded("net/json-wrong", '{"type":"user"}', '{"type":"user","id":"x"}', "QEMU starts with -netdev", *OTHERS),
    reworded("net/nic-options-apart", "e1000,addr=9", "e1000", "QEMU starts with -nic .*,addr=9", *OTHERS),
    reworded("net/removed-options", ("-net", "dump"), ("-net", "user"), "QEMU starts with -net dump", *OTHERS),
    reworded("net/warns-netdev-alone", ("-netdev", "user,id=x"), ("-nic", "user"), "id=x: no warning", *OTHERS),
    reworded("net/warns-nic-alone", ("-device", "e1000"), ("-nic", "user"), "-device e1000: no warning", *OTHERS),
    reworded("net/warns-hub-without-nic", ("-net", "user"), ("-nic", "user"), "-net user: no warning", *OTHERS),
    reworded("net/warns-hub-without-host", ("-net", "nic"), ("-nic", "user"), "-net nic: no warning", *OTHERS),
    reworded("net/warns-nic-not-created", ("-nic", "user,model=e1000"), ("-nic", "none"), "e1000: no warning", *OTHERS),
    reworded("net/info-network", "restrict=on", "restrict=off", "info network says .*restrict=off", *OTHERS),
)  # fmt: skip


@fault("net/qmp-add-del", "net/netdev-del-leaves-nic",
       cause="user added, user alone after that|Duplicate ID", sentinels=MONITOR_OTHERS)  # fmt: skip
def backend_not_taken_away(lab: Lab) -> None:
    """A monitor says that it takes backends away, and does not."""
    carry_out("netdev_del", say_yes)


@fault("net/qmp-add-del-errors", cause="netdev_add lan: done", sentinels=MONITOR_OTHERS)
def backend_added_under_another_id(lab: Lab) -> None:
    """A monitor gives a backend another id than it was asked for."""
    carry_out("netdev_add", lambda execute, told: execute("netdev_add", **{**told, "id": f"{told['id']}2"}))


@fault("net/set-link-unknown", cause="set_link nobody: done", sentinels=MONITOR_OTHERS)
def link_of_nobody_set(lab: Lab) -> None:
    """A monitor says of every link that it was set."""
    carry_out("set_link", say_yes)


@fault("net/schema-tells-version", cause="there is no netdev dgram local", sentinels=MONITOR_OTHERS)
def schema_without_an_option(lab: Lab) -> None:
    """A monitor's schema calls the own end of a dgram backend otherwise."""

    def otherwise(execute: Callable[..., Any], told: dict[str, Any]) -> Any:
        schema = execute("query-qmp-schema", **told)
        for member in (member for entity in schema for member in entity.get("members", [])):
            if isinstance(member, dict) and member.get("name") == "local":
                member["name"] = "own"
        return schema

    carry_out("query-qmp-schema", otherwise)


@fault("net/announce", cause="after announce-self: 2 frames", sentinels=MONITOR_OTHERS)
def one_round_too_few(lab: Lab) -> None:
    """A monitor announces a NIC less often than it was asked to."""
    carry_out("announce-self", lambda execute, told: execute("announce-self", **{**told, "rounds": 2}))


@fault("net/announce-interface", cause=f"frames of .*{MAC}", sentinels=MONITOR_OTHERS)
def all_interfaces_announced(lab: Lab) -> None:
    """A monitor announces every NIC, whichever it was asked to."""

    def otherwise(execute: Callable[..., Any], told: dict[str, Any]) -> Any:
        return execute("announce-self", **{name: value for name, value in told.items() if name != "interfaces"})

    carry_out("announce-self", otherwise)


@fault("net/seamless-options-user-tap", cause="by tap no lease", sentinels=OTHERS)
def taps_in_no_bridge(lab: Lab) -> None:
    """Something takes every tap that was made for QEMU out of its bridge before it is used."""
    ask = Monitor.ask

    def asked(self: Monitor, line: str) -> str:
        if found := re.match(r"netdev_add tap,.*ifname=([^,]+)", line):
            lab.host.netlink.link("set", index=lab.host.index(found[1]), master=0)
        return ask(self, line)

    Monitor.ask = asked
