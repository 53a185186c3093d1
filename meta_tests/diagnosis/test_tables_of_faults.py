"""The tables of faults have a row for each, and every kind of host fault is tried or excused."""

import importlib
import sys
from pathlib import Path

import pytest

from meta_tests import faults
from meta_tests.faults import Fault, faults_in, in_files, kinds, on_hosts, tables, unbreakable
from meta_tests.faults.fault import OnHost
from meta_tests.faults.on_hosts import (
    diverted,
    managed,
    mistaken,
    next_hops,
    remembering,
    second_routes,
    troubles,
    tunnelled,
)
from qemunet_tests.claims import load

A_FILE = """
from meta_tests.faults.fault import fault
UNBREAKABLE = {"wifi/speed": "nobody has it here"}
@fault("wifi/lease", cause="the fox", sentinels=())
def fox_on_the_line(lab):
    \"\"\"A fox bit the cable.\"\"\"
"""


def test_a_file_in_the_folder_is_all_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "zoo"
    folder.mkdir()
    for name, text in (("__init__", ""), ("wifi", A_FILE), ("empty", "")):
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    zoo = importlib.import_module("zoo")
    (fox,) = faults_in(zoo).values()
    assert (fox.name, fox.says, fox.planting.wants) == ("fox-on-the-line", "A fox bit the cable.", "lab")
    assert unbreakable(zoo) == {"wifi/speed": "nobody has it here"}
    (folder / "wlan.py").write_text(A_FILE)
    with pytest.raises(ValueError, match="there are two faults called fox-on-the-line"):
        faults_in(zoo)
    for name in [name for name in sys.modules if name.partition(".")[0] == "zoo"]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("reason", "remedy", "named"),
    [
        ("the bridge br0,\nwhich has no uplink, is down", "sudo ip link set br0 up", True),
        ("the bridge br0 is up", "sudo ip link set br0 up", False),
        ("the bridge br0 is down", "reboot", False),
        ("the bridge br0 is down", None, False),
        (None, "sudo ip link set br0 up", False),
    ],
)
def test_a_fault_is_named_by_its_cause_and_its_remedy(reason: str | None, remedy: str | None, named: bool) -> None:
    fault = Fault("bridge-down", ("bridge/lease-address",), "the bridge .* is down", OnHost(), "ip link set")
    assert fault.is_named_in({"reason": reason, "remedy": remedy}) is named


def test_every_kind_is_tried_or_has_a_reason() -> None:
    tried = {each.kind for folder in (faults, on_hosts, in_files) for each in faults_in(folder).values()} - {""}
    assert not tried & set(kinds.NOT_TRIED)
    assert tried | set(kinds.NOT_TRIED) == set(kinds.KINDS)
    assert len(tried) >= 50


def test_the_tables_of_hosts_have_a_row_for_each(tmp_path: Path) -> None:
    (tmp_path / "bridge-down.json").write_text('["the bridge br0 | is down", "sudo ip link set br0 up"]')
    said, planted = tables.of_hosts(tmp_path), faults_in(on_hosts)
    assert f"1 of {len(planted)} were planted" in said
    assert "| the bridge is down | bridge-down | a user | bridge/lease-address | the bridge br0 / is down |" in said
    assert said.count("not planted in this run") == len(planted) - 1


def test_the_tables_of_the_lab_have_a_row_for_each_fault_and_each_claim(tmp_path: Path) -> None:
    (tmp_path / "bridge-down.json").write_text('["the bridge br0 is down", null]')
    said, planted = tables.of_lab(tmp_path), faults_in(faults)
    assert said.count("not planted in this run") == len(planted) - 1
    assert "| the bridge br0 is down | 5 hold |" in said
    assert all(f"\n| {claim} | " in said for claim in load())
    assert "no fault yet" not in said


def test_the_table_of_troubles_says_what_the_faults_demand() -> None:
    text = (Path(__file__).parents[2] / "docs/troubles.md").read_text()
    rows = {cells[1]: cells for line in text.splitlines() if len(cells := line.strip("| ").split(" | ")) == 5}
    named = (*troubles.FAULTS, *mistaken.FAULTS, *remembering.FAULTS, *next_hops.FAULTS,
             *diverted.FAULTS, *tunnelled.FAULTS, *second_routes.FAULTS, *managed.FAULTS)  # fmt: skip
    planted = {each.name: each for each in named}
    assert set(planted) == set(rows) - {"what is wrong"}
    for name, fault in planted.items():
        reason, remedy = (cell.replace("\\|", "|") for cell in rows[name][3:])
        assert fault.is_named_in({"reason": reason, "remedy": remedy}), rows[name]
