"""Every fault breaks the claims it is about, for the reason it is, and no others."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from meta_tests import faults
from meta_tests.faults import Fault, faults_in, unbreakable
from meta_tests.faults.tables import record
from meta_tests.patience import limit
from qemunet_tests.claims import load

CHECKOUT = Path(__file__).parents[2]
FAULTS = faults_in(faults)
TRIES, CONTROL = 3, "A/A failed"


def planted() -> list[Any]:
    """All faults, those outside the core marked slow."""
    return [
        pytest.param(fault, id=name, marks=[] if fault.planting.core else pytest.mark.slow)
        for name, fault in FAULTS.items()
    ]


def run_with(fault: Fault, folder: Path, *words: str) -> dict[str, dict[str, Any]]:
    """Run the fault's claims and its sentinels with the fault planted, and further words; verdicts by claim."""
    claims = [f"--qemunet-claims={claim}" for claim in (*fault.breaks, *fault.sentinels)]
    words = [
        sys.executable, "-m", "pytest", "--pyargs", "qemunet_tests.conformance", "-p", "meta_tests.faults.plugin",
        "-p", "no:cacheprovider", f"--qemunet-fault={fault.name}", f"--qemunet-report={folder}", *claims, *words,
    ]  # fmt: skip
    ended = subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True, timeout=limit(600), check=False)
    assert (folder / "results.json").is_file(), ended.stdout + ended.stderr
    verdicts = json.loads((folder / "results.json").read_text())["verdicts"]
    return {verdict["claim"]: verdict for verdict in verdicts}


def conclusive_run_with(fault: Fault, folder: Path) -> dict[str, dict[str, Any]]:
    """What compares rates is inconclusive where its own control says that the machine has other work: three tries."""
    for number in range(TRIES):
        verdicts = run_with(fault, folder / str(number))
        if not any(CONTROL in (verdicts[claim]["reason"] or "") for claim in fault.breaks):
            break
    return verdicts


@pytest.mark.parametrize("fault", planted())
def test_fault_breaks_its_claims_and_no_others(fault: Fault, tmp_path: Path) -> None:
    verdicts = conclusive_run_with(fault, tmp_path)
    # What this machine or its QEMU has not, it cannot break; the others it can.
    judged = [claim for claim in fault.breaks if verdicts[claim]["verdict"] != "unavailable"]
    if not judged:
        pytest.skip(verdicts[fault.breaks[0]]["reason"])
    for claim in judged:
        said = str(verdicts[claim])
        assert verdicts[claim]["verdict"] == "broken", said
        assert fault.is_named_in(verdicts[claim]), said
    record(fault, verdicts[judged[0]])
    assert not [str(verdicts[claim]) for claim in fault.sentinels if verdicts[claim]["verdict"] != "holds"]


@pytest.mark.slow
def test_an_address_that_is_another_is_not_blamed_on_lost_frames(tmp_path: Path) -> None:
    """A passt of 2023 drops short datagrams of this NIC, which pads them: that is no reason for an address."""
    fault = FAULTS["another-address-asked-for"]
    said = run_with(fault, tmp_path, "--qemunet-nic=e1000")["passt/guest-address"]
    if said["verdict"] == "unavailable":
        pytest.skip(said["reason"])
    assert (said["verdict"], fault.is_named_in(said)) == ("broken", True), str(said)
    assert said["lost"] is None


def test_every_claim_has_a_fault_that_breaks_it_or_a_reason() -> None:
    broken = {claim for fault in FAULTS.values() for claim in fault.breaks}
    tried = {claim.id for claim in load().values() if not claim.untested}
    assert tried - broken - set(unbreakable(faults)) == set()
    assert broken.isdisjoint(unbreakable(faults))


def test_faults_are_about_claims_that_exist() -> None:
    named = {claim for fault in FAULTS.values() for claim in (*fault.breaks, *fault.sentinels)}
    assert named - set(load()) == set()
    assert all(len(fault.sentinels) > 0 for fault in FAULTS.values())
