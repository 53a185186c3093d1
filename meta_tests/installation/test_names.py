"""One word means one thing: in the product no class, type or module bears another's name, and a test is a test."""

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
    "nic",
}


def modules() -> list[Path]:
    return [file for room in ROOMS for file in (CHECKOUT / room).rglob("*.py")]


def test_no_class_bears_the_name_of_another() -> None:
    homes = defaultdict(set)
    for file in modules():
        for name in types_in(file.read_text()):
            homes[name].add(str(file.relative_to(CHECKOUT)))
    assert {name: files for name, files in homes.items() if len(files) > 1} == {}


def types_in(source: str) -> list[str]:
    """The public classes of a module, and the types that it gives a name; no variables of types, which are its own."""
    return [name for node in ast.parse(source).body for name in _names_of_types(node) if not name.startswith("_")]


def _names_of_types(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.ClassDef):
        return [node.name]
    if not isinstance(node, ast.Assign | ast.AnnAssign) or "TypeVar" in ast.dump(node):
        return []
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [
        each.id for each in targets if isinstance(each, ast.Name) and each.id[0].isupper() and not each.id.isupper()
    ]


def test_a_type_with_a_name_of_its_own_is_found() -> None:
    source = "LIMIT = 3\nAnswer = int | str\nWay: TypeAlias = str\nValue = TypeVar('Value')\n\nclass Asked: ...\n"
    assert types_in(source) == ["Answer", "Way", "Asked"]


def test_no_module_bears_the_name_of_another() -> None:
    homes = defaultdict(set)
    for file in modules():
        homes[file.stem].add(str(file.relative_to(CHECKOUT)))
    twice = {name: files for name, files in homes.items() if len(files) > 1}
    own = {*SUBJECTS, *(word.replace("-", "_") for word in modes.every())}
    assert {name: files for name, files in twice.items() if name not in own} == {}


def misnamed(*roots: Path) -> list[str]:
    """Files that are called tests and hold none, or hold some and are not called so: pytest passes both over."""
    files = [file for root in roots for file in root.rglob("*.py")]
    return sorted(file.name for file in files if file.name.startswith("test_") != _holds_a_test(file))


def _holds_a_test(file: Path) -> bool:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = ast.walk(ast.parse(file.read_text()))
    return any(isinstance(node, functions) and node.name.startswith("test_") for node in nodes)


def test_what_is_called_a_test_holds_one() -> None:
    assert misnamed(CHECKOUT / "meta_tests", CHECKOUT / "qemunet_tests/conformance") == []


def test_a_wrong_name_is_found(tmp_path: Path) -> None:
    right = {"test_a.py": "class TestA:\n    def test_a(self): ...\n", "tables.py": "testing = True\n"}
    wrong = {"test_b.py": "def helper(): ...\n", "b_test.py": "async def test_b(): ...\n"}
    for name, text in {**right, **wrong}.items():
        (tmp_path / name).write_text(text)
    assert misnamed(tmp_path) == sorted(wrong)
