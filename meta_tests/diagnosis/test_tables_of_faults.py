"""The table of what is tried of the catalogue of host faults speaks of faults that are there."""

from pathlib import Path

from meta_tests.doctor.test_host_faults import FAULTS as RECORDED
from meta_tests.faults import catalogue
from meta_tests.faults.fault import FAULTS
from meta_tests.faults.on_hosts.bridge import HOST_FAULTS
from meta_tests.faults.plugin import user  # noqa: F401  (registers the faults)
from meta_tests.faults.tables_of_hosts import table


def test_every_fault_that_is_named_exists() -> None:
    assert {name for names in catalogue.IN_THE_LAB.values() for name in names} <= set(FAULTS)
    assert {name for names in catalogue.RECORDED.values() for name in names} <= set(RECORDED)
    assert set(catalogue.on_hosts()) <= set(catalogue.ENTRIES)


def test_every_entry_is_tried_or_has_a_reason() -> None:
    assert not catalogue.covered() & set(catalogue.NOT_TRIED)
    assert catalogue.covered() | set(catalogue.NOT_TRIED) == set(catalogue.ENTRIES)
    assert len(catalogue.covered()) >= 50


def test_names_are_unique() -> None:
    assert len({fault.name for fault in HOST_FAULTS}) == len(HOST_FAULTS)


def test_the_tables_have_a_row_for_each(tmp_path: Path) -> None:
    (tmp_path / "bridge-down.json").write_text('["the bridge br0 | is down", "sudo ip link set br0 up"]')
    said = table(tmp_path)
    assert f"1 of {len(HOST_FAULTS)} were planted" in said
    assert "| F32 | bridge-down | a user | bridge/lease-address | the bridge br0 / is down |" in said
    assert said.count("not planted in this run") == len(HOST_FAULTS) - 1
