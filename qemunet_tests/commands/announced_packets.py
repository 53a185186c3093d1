"""`qemunet run --target host --dry-run`: what would appear on this host's network, before anything does."""

from qemunet_tests import modes
from qemunet_tests.isolation.identity import on_the_host
from qemunet_tests.settings import Settings


def announce(settings: Settings) -> list[str]:
    """The lines to read. Nothing is started and nothing is sent."""
    named = settings.bridge if "bridge" in settings.model_fields_set else None
    lines = [f"guests would run as {on_the_host(settings.as_user).name}; nothing would be changed on this host"]
    for mode in modes.every().values():
        if said := mode.announced(named, _peer(settings)):
            lines += ["", *said]
    return lines


def _peer(settings: Settings) -> str:
    if settings.peer is None:
        return "peer   nobody; none was named (--peer ADDR:PORT)"
    return f"peer   TCP, UDP and ICMP echo requests to {settings.peer}, at most 1 MB each way"
