"""Reasons are for people: what a claim's test asserts is said in a sentence, or was shown to the claim before."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import qemunet_tests.conformance

MODULES = sorted(Path(qemunet_tests.conformance.__file__).parent.glob("test_*.py"))


def wordless(module: ast.AST) -> Iterator[int]:
    """The lines of assertions in tests that have no sentence, where nothing was shown to the claim before them.

    A lease that is not there has words of its own.
    """
    for test in ast.walk(module):
        if isinstance(test, ast.FunctionDef) and test.name.startswith("test_"):
            within = list(ast.walk(test))
            shown = min(
                (each.lineno for each in within if isinstance(each, ast.Attribute) and each.attr == "sees"),
                default=None,
            )
            bare = [each for each in within if isinstance(each, ast.Assert) and each.msg is None]
            yield from (
                each.lineno
                for each in bare
                if "lease_of(" not in ast.unparse(each.test) and (shown is None or each.lineno < shown)
            )


@pytest.mark.parametrize("module", MODULES, ids=[module.stem for module in MODULES])
def test_what_is_asserted_is_said(module: Path) -> None:
    assert list(wordless(ast.parse(module.read_text()))) == []


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("assert reached", [2]),
        ("assert reached, 'not reached'", []),
        ("claim.sees(reached)\n    assert reached", []),
        ("assert reached\n    claim.sees(reached)", [2]),
        ("assert claim.sees(reached) == claim.expected", []),
        ("assert lease_of(guest)", []),
    ],
)
def test_such_an_assertion_is_found(body: str, lines: list[int]) -> None:
    assert list(wordless(ast.parse(f"def test_it(claim):\n    {body}"))) == lines
