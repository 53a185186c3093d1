"""What `localhost` means to programs of this host, as far as its own file says. Source: hosts(5)."""

from pathlib import Path

from qemunet_tests.host.files import MACHINE, read_text

PATH = "/etc/hosts"


def addresses(root: Path = MACHINE) -> tuple[str, ...]:
    """In the file's order; none where it does not name it, and others are asked."""
    lines = (line.partition("#")[0].split() for line in (read_text(root, PATH) or "").splitlines())
    return tuple(words[0] for words in lines if "localhost" in words[1:])
