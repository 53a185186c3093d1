"""What is promised of frames over a connection: peers at the ends of real backends, and no guest."""

import pytest

from qemunet_tests.conformance.refusals import assert_refused, spelled

#: As the manual writes them, each with the rest of an address.
AS_WRITTEN = {
    "to": "addr.type=inet,addr.host=127.0.0.1,addr.port={port},to=7299",
    "abstract": "addr.type=unix,addr.path=nobody,abstract=on",
    "keep-alive": "addr.type=inet,addr.host=127.0.0.1,addr.port={port},keep-alive=on",
}


@pytest.mark.claim("stream/address-needed")
def test_half_an_address_is_refused(bench, claim):
    messages = {
        "": "Parameter 'addr' is missing",
        "server=on,addr.type=inet,addr.host=127.0.0.1": "Parameter 'addr.port' is missing",
        "server=on,addr.type=pigeon": "Parameter 'type' does not accept value 'pigeon'",
    }
    assert_refused(bench, claim, "stream", messages)


@pytest.mark.claim("stream/manual-syntax")
def test_options_are_written_as_in_the_manual(bench, target, claim):
    port = target.host.free_port("tcp", 7200)
    tried = {
        name: bench.attempt("-netdev", spelled("stream", f"server=on,{words.format(port=port)}"))
        for name, words in AS_WRITTEN.items()
    }
    refused = {name: each.complaints.refusal.rpartition(": ")[2] for name, each in tried.items() if not each.started}
    claim.sees("; ".join(refused.values()) or "QEMU starts")
    if refused:
        assert refused == {name: f"Parameter '{name}' is unexpected" for name in AS_WRITTEN}, claim.observed
        claim.deviates()
