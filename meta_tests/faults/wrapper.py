"""A wrapper in QEMU's place, as distributions and management tools have them, that changes its command line."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from meta_tests.faults.fault import Fault, InLab
from qemunet_tests.isolation.processes import Process
from qemunet_tests.network import Lab

#: Takes the whole command line of a QEMU, `setpriv` in front of it included, and returns another.
Change = Callable[[list[str]], list[str]]


def alter_qemu(lab: Lab, change: Change) -> None:
    """From now on every QEMU at the lab's host is started with what `change` makes of its command line."""
    start = lab.host.start

    def altered(words: Sequence[str], **options: Any) -> Process:
        is_qemu = any(Path(word).name.startswith("qemu-") for word in words)
        return start(change(list(words)) if is_qemu else words, **options)

    lab.host.start = altered


def alter_netdev(lab: Lab, change: Callable[[str], str], everywhere: bool = False) -> None:
    """Alter what follows `-netdev` where a guest has user networking.

    With `everywhere` a QEMU without a machine counts as well: one with a peer, or one that is only tried.
    """

    def alter(words: list[str]) -> list[str]:
        if "-device" not in words and not everywhere:
            return words
        pairs = zip(["", *words], words, strict=False)
        return [change(word) if option == "-netdev" and word.startswith("user,") else word for option, word in pairs]

    alter_qemu(lab, alter)


def set_user_option(lab: Lab, name: str, value: str | None) -> None:
    """Every user networking has an option with this value, whatever it was to have; with None it never has it."""
    alter_netdev(lab, lambda word: with_option(word, name, value), everywhere=True)


def replace_user_option(lab: Lab, name: str, value: str) -> None:
    """Where user networking has an option it has another value, and where it has none it stays without."""

    def change(word: str) -> str:
        return with_option(word, name, value) if f",{name}=" in word else word

    alter_netdev(lab, change, everywhere=True)


def with_option(word: str, name: str, value: str | None) -> str:
    """What follows `-netdev`, with an option as it is to be: given once, or with None not at all."""
    # A comma in a value is written twice: qemu(1).
    others = re.sub(rf",{re.escape(name)}=(?:[^,]|,,)*", "", word)
    return others if value is None else f"{others},{name}={value}"


def reworded(claim: str, old: str | tuple[str, ...], new: str | tuple[str, ...], cause: str, *sentinels: str) -> Fault:
    """A fault: a wrapper writes something else in the place of a piece of a word, or of several whole words."""
    written = [" ".join(each) if isinstance(each, tuple) else each for each in (old, new)]
    says = f"A wrapper in QEMU's place has `{written[1] or 'nothing'}` for `{written[0]}`."
    name = f"{claim.replace('/', '-')}-reworded"
    return Fault(name, (claim,), cause, InLab(lambda lab: alter_qemu(lab, lambda words: _rewritten(words, old, new))),
                 sentinels=sentinels, says=says)  # fmt: skip


def _rewritten(words: list[str], old: str | tuple[str, ...], new: str | tuple[str, ...]) -> list[str]:
    """Whole words have their ends around them: no word has the byte 0 in it."""
    texts = ["\0".join(("", *each, "")) if isinstance(each, tuple) else each for each in (old, new)]
    line = "\0".join(["", *words, ""])
    return line.replace(*texts)[1:-1].split("\0") if texts[0] in line else words


def is_literal(words: list[str]) -> bool:
    """Whether this is a command line of the post's own."""
    return "-nographic" in words


def as_bridged(lab: Lab) -> None:
    """Put guests into the host's bridge that were to have user networking."""
    keep = {"--inh-caps=-all": "--inh-caps=-all,+net_admin", "--ambient-caps=-all": "--ambient-caps=-all,+net_admin"}

    def alter(words: list[str]) -> list[str]:
        if "user,id=net0" not in words or "-device" not in words or is_literal(words):
            return words
        return [keep.get(word, word).replace("user,id=net0", "bridge,id=net0,br=br0") for word in words]

    alter_qemu(lab, alter)


def without_pair(words: list[str], option: str) -> list[str]:
    """A command line without an option and its value."""
    at = words.index(option)
    return words[:at] + words[at + 2 :]
