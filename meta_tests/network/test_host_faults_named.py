"""Every fault of a real host is named by its cause, and what the report gives as its remedy mends it."""

import re
from collections.abc import Iterator

import pytest

from meta_tests.faults.on_hosts.bridge import HOST_FAULTS
from meta_tests.faults.on_hosts.typed import HostFault
from meta_tests.faults.tables_of_hosts import record
from meta_tests.samples.host_machine import HostMachine


@pytest.fixture
def machine() -> Iterator[HostMachine]:
    made = HostMachine()
    yield made
    made.close()


@pytest.mark.slow
@pytest.mark.parametrize("fault", HOST_FAULTS, ids=lambda fault: fault.name)
def test_fault_is_named_and_its_remedy_mends_it(machine: HostMachine, fault: HostFault) -> None:
    if not machine.made_by_root:
        pytest.skip("an ordinary user on a host of his own takes root")
    found = by_doctor(machine, fault) if fault.judge == "doctor" else by_run(machine, fault)
    record(fault, found)


def by_run(machine: HostMachine, fault: HostFault) -> dict[str, str]:
    """What the report says of the first claim that breaks."""
    uid = 0 if fault.as_root else None
    machine.plant(fault)
    broken = machine.run("--bridge", "br0", *fault.words, *fault.breaks, fault.sentinel, uid=uid)
    for claim in fault.breaks:
        named(fault, broken[claim])
        assert broken[claim]["verdict"] == "broken", broken[claim]
    # Whatever is wrong with a bridge or a resolver.
    assert broken[fault.sentinel]["verdict"] == "holds"
    machine.mend(fault, broken[fault.breaks[0]]["remedy"])
    words = fault.words if fault.mended_words is None else fault.mended_words
    mended = machine.run("--bridge", "br0", *words, *fault.breaks, fault.sentinel, uid=uid)
    verdicts = {claim: each["verdict"] for claim, each in mended.items()}
    assert verdicts == dict.fromkeys((*fault.breaks, fault.sentinel), "holds"), mended
    return broken[fault.breaks[0]]


def by_doctor(machine: HostMachine, fault: HostFault) -> dict[str, str]:
    """What the doctor says of the capability."""
    (capability,) = fault.breaks
    before = machine.doctor()
    machine.plant(fault)
    broken = machine.doctor()
    assert broken[capability]["state"] in ("caution", "not"), broken[capability]
    named(fault, broken[capability])
    # Of what else stands there nothing is said otherwise, unless it is about the same thing or follows from it.
    others = {id_ for id_ in before if broken.get(id_, {}).get("state") != before[id_]["state"]} - {capability}
    assert {id_ for id_ in others if not id_.startswith(capability)} == set(fault.entails)
    machine.mend(fault, broken[capability]["remedy"])
    mended = machine.doctor()[capability]
    assert mended["state"] == "ok" or not re.search(fault.cause, mended["reason"]), mended
    return broken[capability]


def named(fault: HostFault, said: dict[str, str]) -> None:
    """The cause is the right one, and so is the remedy."""
    assert re.search(fault.cause, said["reason"] or "", re.DOTALL), said
    assert re.search(fault.remedy, said["remedy"] or ""), said
