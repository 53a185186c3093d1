"""What QEMU refuses: backends that are only tried, and what it says of them."""

#: The id of a backend that nobody is at.
ALONE = "alone"


def assert_refused(bench, claim, kind, messages):
    """Each of these options is refused with its message, or one of several, with which the refusal ends."""
    tried = {options: bench.attempt("-netdev", spelled(kind, options)) for options in messages}
    claim.sees(f"{sum(not each.started for each in tried.values())} of {len(tried)} refused")
    for options, message in messages.items():
        assert tried[options].status == 1, f"QEMU starts with {kind},{options}"
        assert tried[options].complaints.refusal.endswith(message), str(tried[options].complaints)


def spelled(kind, options):
    """What follows `-netdev`."""
    return ",".join(filter(None, (f"{kind},id={ALONE}", options)))
