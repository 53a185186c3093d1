"""Which options a QEMU has, as the schema of its monitor tells: distributions take some into versions before their own.

Sources: QEMU's QMP Reference Manual, query-qmp-schema, netdev_add, object-add; an entity of the schema names others.
"""

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qemunet_tests.errors import HarnessError
from qemunet_tests.isolation import enclosure
from qemunet_tests.isolation.identity import Identity
from qemunet_tests.qemu.qemu_questions import ANSWER_SECONDS, words_as

#: The commands that make the first two, and the argument that says which kind.
_MADE_BY = {"netdev": "netdev_add", "object": "object-add"}
_ASK = (
    """printf '{"execute": "%s"}\\n' qmp_capabilities query-qmp-schema quit | """
    'exec "$0" -M none -nodefaults -no-user-config -display none -S -qmp stdio'
)

Entity = dict[str, Any]


def options(path: Path, asker: Identity) -> frozenset[str]:
    """All that this QEMU has, as SPELLING has it. Raises HarnessError where it does not tell."""
    found = path.stat()
    return _asked(path, asker, found.st_size, found.st_mtime_ns)


@functools.cache
def _asked(path: Path, asker: Identity, _size: int, _mtime_ns: int) -> frozenset[str]:
    trouble: str | None = None
    # Twice: whatever killed it may have been meant for somebody else, and a busy machine may be less so.
    for _ in range(2):
        said = enclosure.ask({"schema": [*words_as(asker), "sh", "-c", _ASK, str(path)]}, ANSWER_SECONDS)["schema"]
        if (found := _options_told(said.text)) is not None:
            return found
        trouble = said.trouble or f"says {said.text.strip()[-120:]!r}"
    raise HarnessError(f"{path}, asked for the schema of its monitor, {trouble}")


def options_in(schema: list[Entity]) -> frozenset[str]:
    """All that stands in what `query-qmp-schema` answered, as SPELLING has it."""
    return frozenset(_spelled({each["name"]: each for each in schema}))


def _options_told(text: str) -> frozenset[str] | None:
    """All that stands in the schema; None where there is none, or what is in its place is no schema."""
    for line in text.splitlines():
        try:
            said = json.loads(line).get("return")
            if isinstance(said, list):
                return options_in(said)
        except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
            continue
    return None


def _spelled(entities: dict[str, Entity]) -> Iterator[str]:
    for name, entity in entities.items():
        if entity["meta-type"] == "command":
            yield f"command {name}"
            yield from (f"command {name} {member}" for member in _members(entities, entity["arg-type"]))
    for kind, command in _MADE_BY.items():
        made = entities.get(entities.get(command, {}).get("arg-type", ""), {})
        for variant in made.get("variants", []):
            yield f"{kind} {variant['case']}"
            yield from (f"{kind} {variant['case']} {member}" for member in _members(entities, variant["type"]))


def _members(entities: dict[str, Entity], name: str) -> Iterator[str]:
    yield from (member["name"] for member in entities[name].get("members", []))
