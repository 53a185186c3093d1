"""Networking modes: one file each, in which everything stands that is known of it.

A file here is a mode: it has a `MODE` that bears the file's name, with hyphens for underscores. Nobody keeps a list.
"""

import functools
import importlib
import pkgutil

from qemunet_tests.modes.mode import Mode, Way, Wiring

__all__ = ["Mode", "Way", "Wiring", "every", "shares_network", "ways"]

#: Modules of this folder that are no mode.
_ABOUT_MODES = ("mode",)


@functools.cache
def every() -> dict[str, Mode]:
    """All modes by their word, in the order in which people meet them."""
    names = [found.name for found in pkgutil.iter_modules(__path__) if found.name not in _ABOUT_MODES]
    modes = [importlib.import_module(f"{__name__}.{name}").MODE for name in names]
    return {mode.word: mode for mode in sorted(modes, key=lambda mode: (mode.rank, mode.word))}


def ways() -> dict[str, Way]:
    """Everything that can be measured, by the word that `qemunet record --arms` takes."""
    found = [(word, way) for mode in every().values() for word, way in mode.ways.items()]
    return dict(sorted(found, key=_turn))


def _turn(named: tuple[str, Way]) -> int:
    """To the host before between guests, and there what bears a mode's own name first."""
    word, way = named
    return way.between_guests + (way.between_guests and word not in every())


def shares_network(word: str) -> bool:
    """Whether guests of this mode are on a LAN with others. False for what is no mode."""
    return word in every() and every()[word].shares_network
