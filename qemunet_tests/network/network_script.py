"""A program for `script=` or `downscript=` of a tap, which writes down what it is called with."""

from pathlib import Path

#: Whole calls alone end with a line.
PROGRAM = """\
#!/bin/sh
echo "$# $*" >> '{}'
exit {}
"""


class NetworkScript:
    """One that lies at `place` and writes to a file that QEMU's user may write, and then ends with a status."""

    def __init__(self, place: Path, calls: Path, status: int = 0) -> None:
        self.place, self._calls, self._status = place, calls, status

    def write(self) -> "NetworkScript":
        """Put it there."""
        self.place.write_text(self.text)
        self.place.chmod(0o755)
        return self

    @property
    def text(self) -> str:
        return PROGRAM.format(self._calls, self._status)

    @property
    def calls(self) -> list[str]:
        """The arguments of each call, in their order; in front of those their number, where it is not one."""
        lines = self._calls.read_text().splitlines() if self._calls.exists() else []
        return [line.removeprefix("1 ") for line in lines]
