"""Every fault of a host made of files is found, named, and makes impossible what it should."""

import dataclasses
from pathlib import Path

import pytest

from meta_tests.faults import Fault, faults_in, in_files
from meta_tests.samples.healthy_host import found, host
from qemunet_tests import modes
from qemunet_tests.doctor import checks
from qemunet_tests.doctor.checks import other_modes
from qemunet_tests.host import devices
from qemunet_tests.host.obstacle import Obstacle

FAULTS = faults_in(in_files)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_is_found_and_named(fault: Fault, tmp_path: Path) -> None:
    (check,), planted = fault.breaks, fault.planting
    outcome = found(planted.change(host(tmp_path, planted.files)))
    finding = outcome[check].finding
    assert finding.state == planted.state
    assert fault.is_named_in(vars(finding)), finding
    verdicts = checks.verdicts(outcome.values())
    # What further modes lack is asked of this machine, which is no host made of files.
    possible = {mode: verdicts[mode].possible for mode in checks.USUAL}
    assert {mode for mode in possible if not possible[mode]} == set(planted.impossible)
    for mode in set(outcome[check].check.modes) & set(checks.USUAL):
        said = verdicts[mode].reason or ""
        assert (finding.reason if mode in planted.impossible else check) in said


def test_every_check_can_fail() -> None:
    """A check that no fault here makes fail would be decoration."""
    assert {check for fault in FAULTS.values() for check in fault.breaks} == {check.id for check in checks.ALL} - {
        check.id for check in other_modes.CHECKS
    }


@pytest.mark.parametrize("mode", [mode for mode in modes.every() if mode not in checks.USUAL])
def test_what_a_mode_lacks_makes_it_impossible(mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the words in which a test of that mode would be unavailable."""
    monkeypatch.setattr(devices, "obstacle_here", lambda path: Obstacle(f"there is no {path}", "modprobe tun"))
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    healthy = host(tmp_path, {})
    assert healthy.qemu
    facts = dataclasses.replace(healthy, qemu=dataclasses.replace(healthy.qemu, netdevs=frozenset({"user", "bridge"})))
    missing = modes.every()[mode].plain.missing(facts.qemu)
    outcome = {one.check.id: one for one in checks.look(facts)}
    finding = outcome[f"{mode}-mode"].finding
    if missing:
        assert (finding.state, finding.reason, finding.remedy) == ("not", missing.reason, missing.remedy)
    assert checks.verdicts(outcome.values())[mode].possible == (finding.state == "ok") == (missing is None)
