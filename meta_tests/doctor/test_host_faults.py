"""Every fault of the tables beside this file is found, named, and makes impossible what it should."""

from pathlib import Path

import pytest

from meta_tests.doctor.faults import bridges, modes, networks, programs, qemu, uplinks
from meta_tests.doctor.faults import the_helper as helper
from meta_tests.doctor.test_host_checks import found, host
from qemunet_tests.doctor import checks

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
    assert {mode for mode, verdict in verdicts.items() if not verdict.possible} == set(fault.impossible)
    for mode in outcome[fault.check].check.modes:
        said = verdicts[mode].reason or ""
        assert (finding.reason if mode in fault.impossible else fault.check) in said


def test_no_fault_hides_another_of_its_name() -> None:
    assert len(FAULTS) == sum(len(table.FAULTS) for table in TABLES)


def test_every_check_can_fail() -> None:
    """A check that no fault here makes fail would be decoration."""
    assert {fault.check for fault in FAULTS.values()} == {check.id for check in checks.ALL}
