"""The names of the fixtures that sessions of qemunet have: read from their source, because a session that did not ask
for them does not import what drives guests."""

import ast
import importlib.util
from pathlib import Path

_FIXTURES = "qemunet_tests.fixtures"


def names() -> set[str]:
    """Those of all files of the folder."""
    folder = importlib.util.find_spec(_FIXTURES)
    places = folder.submodule_search_locations if folder else None
    files = [file for place in places or () for file in sorted(Path(place).glob("*.py"))]
    return {name for file in files for name in _fixtures_in(file)}


def _fixtures_in(file: Path) -> list[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)]
    return [each.name for each in functions if any("fixture" in ast.unparse(mark) for mark in each.decorator_list)]
