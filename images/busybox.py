"""Making busybox prefer a real program to its own applet of that name.

Debian's static busybox looks for an applet first, in its shell and in `timeout` and `xargs` alike, wherever PATH
leads. Its table of names is sorted text, so a name that sorts to the same place takes an applet out of the way.
"""

from collections.abc import Iterable

from qemunet_tests.errors import HarnessError

# How the table of names begins.
FIRST_NAMES = b"[\0[[\0"


def without_applets(busybox: bytes, names: Iterable[str]) -> bytes:
    """The program with those applets renamed from `name` to `namE`. Names that are no applets are passed over.

    Raises HarnessError where this busybox is laid out differently.
    """
    start = busybox.find(FIRST_NAMES)
    end = busybox.find(b"\0\0", start)
    if not 0 < start < end:
        raise HarnessError("this busybox has no table of applet names where one was expected")
    unwanted = {name.encode() for name in names}
    before = busybox[start:end].split(b"\0")
    after = [_out_of_the_way(name) if name in unwanted else name for name in before]
    if after != sorted(after):
        raise HarnessError("this busybox has a table of applet names that cannot be changed")
    return busybox[:start] + b"\0".join(after) + busybox[end:]


def _out_of_the_way(name: bytes) -> bytes:
    return name[:-1] + name[-1:].upper()
