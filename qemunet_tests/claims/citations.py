"""Which test cites which claim, read from the source of the tests.

The tests are parsed and not imported, because importing them would import everything that drives a guest.
"""

import ast
import functools
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).parent.parent / "conformance"
MARKER = "claim"
#: What makes a row of a table of tests out of a claim and its values.
ROW = "promise"


@dataclass(frozen=True)
class Citation:
    """`test` as pytest takes it after --pyargs, for instance `package.test_user::test_address`."""

    claim: str
    test: str
    file: Path
    function: str


@functools.cache
def citations(folder: Path = TESTS) -> tuple[Citation, ...]:
    """Every citation of the test files in `folder`, in the order of the files and their lines."""
    return tuple(citation for file in sorted(folder.glob("test_*.py")) for citation in _citations_in(file))


def files_citing(claims: Container[str]) -> frozenset[Path]:
    """The files of the shipped tests that cite any of these claims."""
    return frozenset(citation.file for citation in citations() if citation.claim in claims)


def cited_by(file: Path, function: str) -> list[str]:
    """The claims that one test function cites. Empty where the file or the function is not to be found."""
    if not file.is_file():
        return []
    return [citation.claim for citation in _citations_in(file) if citation.function == function]


@functools.cache
def _citations_in(file: Path) -> tuple[Citation, ...]:
    tree = ast.parse(file.read_text(encoding="utf-8"), filename=str(file))
    module = ".".join([*_packages_above(file), file.stem])
    inherited = [claim for node in tree.body if _is_pytestmark(node) for claim in _claims_in(node)]
    return tuple(
        Citation(claim, f"{module}::{'::'.join(name)}", file, name[-1])
        for name, claims in _tests_in(tree, (), tuple(inherited))
        for claim in claims
    )


def _tests_in(
    parent: ast.Module | ast.ClassDef, path: tuple[str, ...], inherited: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    for node in parent.body:
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            own = [claim for decorator in node.decorator_list for claim in _claims_in(decorator)]
            yield from _tests_in(node, (*path, node.name), (*inherited, *own))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            own = [claim for decorator in node.decorator_list for claim in _claims_in(decorator)]
            yield (*path, node.name), list(dict.fromkeys([*inherited, *own]))


def _claims_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not _cites(node.func):
            continue
        for argument in node.args[:1]:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield argument.value


def _cites(called: ast.expr) -> bool:
    if isinstance(called, ast.Attribute):
        return called.attr == MARKER
    return isinstance(called, ast.Name) and called.id == ROW


def _is_pytestmark(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and any(
        isinstance(target, ast.Name) and target.id == "pytestmark" for target in node.targets
    )


def _packages_above(file: Path) -> list[str]:
    packages: list[str] = []
    folder = file.resolve().parent
    while (folder / "__init__.py").is_file():
        packages.insert(0, folder.name)
        folder = folder.parent
    return packages
