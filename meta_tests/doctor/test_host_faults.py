"""Every fault of the tables beside this file is found, named, and makes impossible what it should."""

import dataclasses
from pathlib import Path

import pytest

from meta_tests.faults.in_files import bridges, helper, modes, networks, programs, qemu, uplinks
from meta_tests.samples.healthy_host import found, host
from qemunet_tests import modes as modes_of_qemu
from qemunet_tests.doctor import checks
from qemunet_tests.doctor.checks import other_modes

TABLES = (qemu, modes, helper, bridges, uplinks, networks, programs)
FAULTS = {name: fault for table in TABLES for name, fault in table.FAULTS.items()}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_and_named(name: str, tmp_path: Path) -> None:
    fault = FAULTS[name]
    outcome = found(fault.change(host(tmp_path, fault.files or {})))
    finding = outcome[fault.check].finding
    assert finding.state == fault.state
    assert fault.reason in finding.reason
    assert finding.remedy is not None
    assert fault.remedy in finding.remedy
    verdicts = checks.verdicts(outcome.values())
    # What further modes lack is asked of this machine, which is no host made of files.
    possible = {mode: verdicts[mode].possible for mode in checks.USUAL}
    assert {mode for mode in possible if not possible[mode]} == set(fault.impossible)
    for mode in set(outcome[fault.check].check.modes) & set(checks.USUAL):
        said = verdicts[mode].reason or ""
        assert (finding.reason if mode in fault.impossible else fault.check) in said


def test_no_fault_hides_another_of_its_name() -> None:
    assert len(FAULTS) == sum(len(table.FAULTS) for table in TABLES)


def test_every_check_can_fail() -> None:
    """A check that no fault here makes fail would be decoration."""
    assert {fault.check for fault in FAULTS.values()} == {check.id for check in checks.ALL} - {
        check.id for check in other_modes.CHECKS
    }


@pytest.mark.parametrize("mode", ["tap", "passt", "stream"])
def test_what_a_mode_lacks_makes_it_impossible(mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the words in which a test of that mode would be unavailable."""
    monkeypatch.setattr("qemunet_tests.modes.tap.TUN", tmp_path / "no-tun")
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    healthy = host(tmp_path, {})
    assert healthy.qemu
    facts = dataclasses.replace(healthy, qemu=dataclasses.replace(healthy.qemu, netdevs=frozenset({"user", "bridge"})))
    missing = modes_of_qemu.every()[mode].missing(facts.qemu)
    assert missing
    outcome = {one.check.id: one for one in checks.look(facts)}
    finding = outcome[f"{mode}-mode"].finding
    assert (finding.state, finding.reason, finding.remedy) == ("not", missing.reason, missing.remedy)
    assert not checks.verdicts(outcome.values())[mode].possible
