"""Every fault of a real host is named by its cause, and what the report gives as its remedy mends it."""

import re
from typing import Any

import pytest

from meta_tests.faults import Fault, faults_in, on_hosts
from meta_tests.faults.tables import record
from meta_tests.samples.host_machine import HostMachine

FAULTS = faults_in(on_hosts)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_fault_is_named_and_its_remedy_mends_it(machine: HostMachine, fault: Fault) -> None:
    if not machine.made_by_root:
        pytest.skip("an ordinary user on a host of his own takes root")
    record(fault, by_doctor(machine, fault) if fault.planting.by_doctor else by_run(machine, fault))


def by_run(machine: HostMachine, fault: Fault) -> dict[str, Any]:
    """What the report says of the first claim that breaks."""
    planted, concerned = fault.planting, (*fault.breaks, *fault.sentinels)
    uid = 0 if planted.as_root else None
    machine.plant(planted)
    broken = machine.run("--bridge", "br0", *planted.words, *concerned, uid=uid)
    for claim in fault.breaks:
        assert fault.is_named_in(broken[claim]), str(broken[claim])
        assert broken[claim]["verdict"] == "broken", str(broken[claim])
    # Whatever is wrong with a bridge or a resolver.
    assert {broken[claim]["verdict"] for claim in fault.sentinels} == {"holds"}
    machine.mend(planted, broken[fault.breaks[0]]["remedy"])
    words = planted.words if planted.mended_words is None else planted.mended_words
    mended = machine.run("--bridge", "br0", *words, *concerned, uid=uid)
    assert {claim: each["verdict"] for claim, each in mended.items()} == dict.fromkeys(concerned, "holds"), mended
    return broken[fault.breaks[0]]


def by_doctor(machine: HostMachine, fault: Fault) -> dict[str, Any]:
    """What the doctor says of the capability."""
    (capability,) = fault.breaks
    before = machine.doctor()
    machine.plant(fault.planting)
    broken = machine.doctor()
    assert broken[capability]["state"] in ("caution", "not"), broken[capability]
    assert fault.is_named_in(broken[capability]), broken[capability]
    # Of what else stands there nothing is said otherwise, unless it is about the same thing or follows from it.
    others = {id_ for id_ in before if broken.get(id_, {}).get("state") != before[id_]["state"]} - {capability}
    assert {id_ for id_ in others if not id_.startswith(capability)} == set(fault.planting.entails)
    machine.mend(fault.planting, broken[capability]["remedy"])
    mended = machine.doctor()[capability]
    assert mended["state"] == "ok" or not re.search(fault.cause, mended["reason"]), mended
    return broken[capability]
