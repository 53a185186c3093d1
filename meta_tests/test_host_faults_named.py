"""Every fault of a real host is named by its cause, and what the report gives as its remedy mends it."""

import re
from collections.abc import Iterator

import pytest

from meta_tests.host_fault_table import record
from meta_tests.host_faults import HOST_FAULTS, HostFault
from meta_tests.host_machine import HostMachine

#: Holds whatever is wrong with a bridge or a resolver.
SENTINEL = "user/address"


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
    words = ("--bridge", "br0", *fault.words, *fault.breaks, SENTINEL)
    uid = 0 if fault.as_root else None
    machine.plant(fault)
    broken = machine.run(*words, uid=uid)
    for claim in fault.breaks:
        found = broken[claim]
        assert found["verdict"] == "broken", found
        assert re.search(fault.cause, found["reason"], re.DOTALL), found
        assert re.search(fault.remedy, found["remedy"] or ""), found
    assert broken[SENTINEL]["verdict"] == "holds"
    machine.mend(fault, broken[fault.breaks[0]]["remedy"])
    mended = machine.run(*words, uid=uid)
    assert {claim: each["verdict"] for claim, each in mended.items()} == dict.fromkeys(
        (*fault.breaks, SENTINEL), "holds"
    )
    record(fault, broken[fault.breaks[0]])
