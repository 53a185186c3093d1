"""One word means one thing: in the product no class and no module bears the name of another."""

import ast
from collections import defaultdict
from pathlib import Path

from qemunet_tests import modes

CHECKOUT = Path(__file__).parents[2]
ROOMS = ("qemunet_tests", "fixtures", "images")
#: Words that name the same subject in several rooms, where a reader looks for it: what is known, what is seen, what may
#: be wrong with it, what can be done about it.
SUBJECTS = {
    "__init__",
    "lab",
    "passt",
    "netplan",
    "bridges",
    "routes",
    "resolver",
    "icmp",
    "dhcp",
    "bench",
    "doctor",
    "claims",
    "image",
    "peer",
    "qemu",
    "record",
    "recordings",
    "guest",
}


def modules() -> list[Path]:
    return [file for room in ROOMS for file in (CHECKOUT / room).rglob("*.py")]


def test_no_class_bears_the_name_of_another() -> None:
    homes = defaultdict(set)
    for file in modules():
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].add(str(file.relative_to(CHECKOUT)))
    assert {name: files for name, files in homes.items() if len(files) > 1} == {}


def test_no_module_bears_the_name_of_another() -> None:
    homes = defaultdict(set)
    for file in modules():
        homes[file.stem].add(str(file.relative_to(CHECKOUT)))
    twice = {name: files for name, files in homes.items() if len(files) > 1}
    assert {name: files for name, files in twice.items() if name not in {*SUBJECTS, *modes.every()}} == {}
