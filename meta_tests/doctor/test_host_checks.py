"""The doctor's checks, on the healthy host made of files and on some that are healthy in other ways."""

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from meta_tests.samples.healthy_host import (
    EVERY_CAPABILITY,
    HELPER,
    NET,
    ROOT,
    Change,
    credentials,
    found,
    helper,
    host,
)
from qemunet_tests.doctor import checks
from qemunet_tests.host.credentials import CAP_NET_ADMIN


def test_the_healthy_host_can_do_everything(tmp_path: Path) -> None:
    outcome = found(host(tmp_path, {}))
    assert {name: one.finding for name, one in outcome.items() if one.finding.state != "ok"} == {}
    assert len(outcome) >= 20
    verdicts = checks.verdicts(outcome.values())
    assert all(verdict.possible and verdict.reason is None for verdict in verdicts.values())


@pytest.mark.parametrize(
    "change",
    [
        credentials(effective_uid=0, permitted=EVERY_CAPABILITY, effective=EVERY_CAPABILITY),
        credentials(ambient=1 << CAP_NET_ADMIN, no_new_privileges=True),
        helper(mode=0o755, capability=True),
    ],
    ids=["root", "ambient capability", "file capability"],
)
def test_other_ways_to_the_helpers_privilege(change: Change, tmp_path: Path) -> None:
    plain = helper(mode=0o755)
    facts = change(plain(host(tmp_path, {})))
    assert found(facts)["helper-privilege"].finding.state == "ok"


def test_root_needs_no_sudo(tmp_path: Path) -> None:
    facts = replace(host(tmp_path, {"/etc/qemu/bridge.conf": None}), credentials=ROOT, user="root")
    remedies = [capability.finding.remedy or "" for capability in checks.look(facts)]
    assert not any("sudo" in remedy for remedy in remedies)


def test_virtbr0_of_others_is_no_concern(tmp_path: Path) -> None:
    """libvirt's own bridge runs spanning tree and has no uplink, and guests may not join it."""
    theirs = {
        f"{NET}/virbr0/bridge/stp_state": "1\n",
        f"{NET}/virbr0/flags": "0x1003\n",
        f"{NET}/virbr0/mtu": "1500\n",
    }
    outcome = found(host(tmp_path, {**theirs}))
    assert {one.finding.state for one in outcome.values()} == {"ok"}


def test_helper_file_as_it_is(tmp_path: Path) -> None:
    from qemunet_tests.host import helper_program as helpers

    place = tmp_path / HELPER.lstrip("/")
    place.parent.mkdir(parents=True)
    place.write_text("#!/bin/sh\n")
    place.chmod(0o4750)
    read = helpers.read(HELPER, tmp_path)
    assert read.exists
    assert read.mode & stat.S_ISUID
    assert not read.capability
    assert helpers.read("/usr/libexec/qemu-bridge-helper", tmp_path).elsewhere == (HELPER,)
    assert helpers.read(None, tmp_path).path == HELPER
