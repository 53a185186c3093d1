"""Net filters that QEMU refuses, and what it says of them."""

import pytest

from qemunet_tests.conformance.promises import promise
from qemunet_tests.observe.refused_commands import attempts, counted, not_refused

#: On a wire whose one end is a hub's: filters are refused before anything is sent.
BACKEND = "-netdev hubport,id=x,hubid=0"
NEITHER = "Parameter 'position' expects 'head', 'tail' or 'id=<id>'"


@pytest.mark.parametrize(
    "reasons",
    [
        promise(
            "filter/netdev-needed",
            {
                "filter-buffer,id=f,interval=5": "Parameter 'netdev' is missing",
                "filter-rewriter,id=f": "Parameter 'netdev' is missing",
            },
        ),
        promise(
            "filter/netdev-unknown",
            {"filter-buffer,id=f,netdev=nobody,interval=5": "Parameter 'netdev' expects a network backend id"},
        ),
        promise(
            "filter/queue-bad",
            {
                "filter-buffer,id=f,netdev=x,interval=5,queue=nonsense":
                "Parameter 'queue' does not accept value 'nonsense'"
            },
        ),
        promise(
            "filter/status-bad",
            {
                "filter-buffer,id=f,netdev=x,interval=5,status=nonsense":
                "Invalid value for netfilter status, should be 'on' or 'off'"
            },
        ),
        promise(
            "filter/position-bad",
            {
                "filter-buffer,id=f,netdev=x,interval=5,position=nonsense": NEITHER,
                "filter-buffer,id=f,netdev=x,interval=5,position=id=nobody": "filter 'nobody' not found",
                "filter-buffer,id=f,netdev=x,interval=5,position=head,insert=nonsense":
                "Parameter 'insert' does not accept value 'nonsense'",
            },
        ),
        promise(
            "filter/dump-bad-file",
            {
                "filter-dump,id=f,netdev=x,file=/nowhere/wire.pcap":
                (
                    "net dump: can't open /nowhere/wire.pcap: No such file or directory",
                    "Could not open '/nowhere/wire.pcap': No such file or directory",
                ),
                "filter-dump,id=f,netdev=x": "Parameter 'file' is missing",
            },
        ),
        promise(
            "filter/dump-maxlen-zero",
            {
                "filter-dump,id=f,netdev=x,file=wire.pcap,maxlen=0":
                "Property 'filter-dump.maxlen' doesn't take value '0'"
            },
        ),
        promise(
            "filter/buffer-zero",
            {
                "filter-buffer,id=f,netdev=x,interval=0": "Property 'filter-buffer.interval' requires a positive value",
                "filter-buffer,id=f,netdev=x": "Parameter 'interval' is missing",
            },
        ),
        promise(
            "filter/outdev-needed",
            {
                "filter-mirror,id=f,netdev=x": "Parameter 'outdev' is missing",
                "filter-mirror,id=f,netdev=x,outdev=nobody": "Device 'nobody' not found",
            },
        ),
        promise(
            "filter/redirector-ends",
            {
                "filter-redirector,id=f,netdev=x":
                "filter redirector needs 'indev' or 'outdev' at least one property set",
                "filter-redirector,id=f,netdev=x,indev=c,outdev=c":
                "'indev' and 'outdev' could not be same for filter redirector",
            },
        ),
        promise("filter/compare-needs-inputs", {"colo-compare,id=f": "Parameter 'primary_in' is missing"}),
        promise(
            "filter/unknown-kind",
            {"filter-nonsense,id=f,netdev=x": "Parameter 'qom-type' does not accept value 'filter-nonsense'"},
        ),
    ],
)  # fmt: skip
def test_a_filter_that_cannot_be_is_refused(bench, claim, reasons):
    commands = {f"{BACKEND} -chardev null,id=c -object {words}": reason for words, reason in reasons.items()}
    wrong = not_refused(attempts(bench, commands), commands)
    claim.sees(counted(len(wrong), len(reasons)))
    assert wrong == [], "; ".join(wrong)


@pytest.mark.claim("filter/dump-vhost")
def test_a_filter_that_would_see_nothing_is_refused(bench, start_backend, qemus_folder, claim):
    start_backend()
    backend = f"-chardev socket,id=c,path={qemus_folder}/socket -netdev vhost-user,id=lan,chardev=c"
    reasons = {f"{backend} -object filter-dump,id=f,netdev=lan,file=x": "Vhost is not supported"}
    wrong = not_refused(attempts(bench, reasons), reasons)
    claim.sees(counted(len(wrong), len(reasons)))
    assert wrong == [], "; ".join(wrong)
