"""Hosts, networks and guests broken on purpose: the suite must notice, and blame the right thing.

The files here break the lab, one for each mode and more. `on_hosts` has hosts of namespaces, broken by hand, `in_files`
hosts made of files. Nobody keeps a list of any.
"""

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType

from meta_tests.faults.fault import Fault

__all__ = ["Fault", "faults_in", "unbreakable"]


def faults_in(folder: ModuleType) -> dict[str, Fault]:
    """The faults that stand in a folder's files, by name, in the order of files and lines."""
    found: dict[str, Fault] = {}
    for value in (value for module in _modules(folder) for value in vars(module).values()):
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, Fault) and found.setdefault(each.name, each) is not each:
                raise ValueError(f"there are two faults called {each.name}")
    return found


def unbreakable(folder: ModuleType) -> dict[str, str]:
    """Claims that no fault breaks, and why, as the `UNBREAKABLE` of a folder's files says it."""
    return {claim: why for module in _modules(folder) for claim, why in getattr(module, "UNBREAKABLE", {}).items()}


def _modules(folder: ModuleType) -> Iterator[ModuleType]:
    for name in sorted(found.name for found in pkgutil.iter_modules(folder.__path__)):
        yield importlib.import_module(f"{folder.__name__}.{name}")
