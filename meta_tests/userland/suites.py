"""The suites of Debian that can be had as a machine."""

#: Oldest QEMU first. A suite of backports stands on its release, and its packages are preferred.
SUITES = ("bookworm", "bookworm-backports", "trixie", "trixie-backports", "forky", "sid")


def release_of(suite: str) -> str:
    """What is unpacked."""
    return suite.removesuffix("-backports")


def sources_of(suite: str, mirror: str) -> list[str]:
    """Where the suite's packages come from, as sources.list(5) has it."""
    return [f"deb {mirror} {each} main" for each in dict.fromkeys((release_of(suite), suite))]


def preferences_of(suite: str) -> str:
    """apt_preferences(5): backports would otherwise be installed only where they are asked for by name."""
    if suite == release_of(suite):
        return ""
    return f"Package: *\nPin: release n={suite}\nPin-Priority: 500\n"
