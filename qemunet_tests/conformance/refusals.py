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


def assert_not_started_or_known(bench, claim, kind, options, name, file=None):
    """QEMU is not to start, and to leave that file as it is; that it starts, and says nothing, is the deviation `name`.

    There the file, where one is named, has become a socket.
    """
    if file is not None:
        file.write_text("somebody's")
    tried = bench.attempt("-netdev", spelled(kind, options))
    left = "" if file is None else ", the file stays" if file.is_file() else ", the file is gone"
    claim.sees(f"{'QEMU starts' if tried.started else 'QEMU does not start'}{left}")
    if claim.observed != claim.expected:
        assert tried.started, str(tried.complaints)
        assert not left.endswith("stays"), claim.observed
        assert tried.complaints.errors == (), str(tried.complaints)
        claim.deviates(name=name)
