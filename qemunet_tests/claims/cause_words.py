"""The words that a claim's `diagnosis` may name, read from the source of the diagnosis.

It is parsed and not imported, because importing it would import everything that drives a guest.
"""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

DIAGNOSIS = Path(__file__).parent.parent / "diagnosis"
#: The table of checks, of which the keys are the words.
TABLE = "SPECIAL"


@functools.cache
def cause_words(folder: Path = DIAGNOSIS) -> frozenset[str]:
    """The keys of every table in `folder`."""
    # Parsing all of them would take as long as everything else that lists the claims.
    texts = (file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.py")))
    return frozenset(word for text in texts if TABLE in text for word in _keys_in(ast.parse(text)))


def _keys_in(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or not isinstance(node.value, ast.Dict):
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if any(isinstance(target, ast.Name) and target.id == TABLE for target in targets):
            yield from (str(key.value) for key in node.value.keys if isinstance(key, ast.Constant))
