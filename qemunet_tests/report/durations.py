"""Which claims cost most, for whoever waits for a run: the list after the card."""

from collections.abc import Iterator

from qemunet_tests.report.shapes import ClaimVerdict, Results


def lines(results: Results, most: int) -> Iterator[str]:
    """The `most` claims that took longest, in seconds and in seconds of CPU; all of them where `most` is 0.

    Claims are tried side by side: together they may have taken longer than the run.
    """
    dearest = sorted(results.verdicts, key=lambda each: each.seconds, reverse=True)[: most or None]
    if not dearest:
        return
    yield ""
    yield "the claims that took longest" if len(dearest) < len(results.verdicts) else "what each claim took"
    yield f"{'seconds':>9}  {'CPU':>7}  claim"
    for each in dearest:
        yield f"{each.seconds:>9.1f}  {_cpu(each):>7}  {each.claim}"


def _cpu(each: ClaimVerdict) -> str:
    return "-" if each.cpu_seconds is None else f"{each.cpu_seconds:.1f}"
