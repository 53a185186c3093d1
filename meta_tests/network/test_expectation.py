"""The file of `--expect`: what is wrong with it is one line that names it, whatever it holds."""

from pathlib import Path

import pytest

from qemunet_tests.__main__ import exit_code
from qemunet_tests.network import expect_file

GOOD = """
range = "192.168.1.100-192.168.1.199"
server = "192.168.1.254"
gateway = "192.168.1.254"
dns = ["192.168.1.254", "192.168.1.2"]
names = ["printer.lan", "_ldap._tcp.lan."]
"""


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('range = "192.168.1.199-192.168.1.100"', "range: '192.168.1.199-192.168.1.100' ends before it begins"),
        ('range = "192.168.1.100"', "range: '192.168.1.100' is not FIRST-LAST"),
        ('range = "a-b"', "range: 'a' is no IPv4 address"),
        ("range = [1, 2]", "range: 1 is not FIRST-LAST"),
        ('range = "2001:db8::9-2001:db8::1"', "range: '2001:db8::9-2001:db8::1' ends before it begins"),
        ('range = "192.168.1.1-2001:db8::1"', "begins with IPv4 and ends with IPv6"),
        ('range = "2001:db8::1/64"', "range: '2001:db8::1/64' is no network: 2001:db8::1/64 has host bits set"),
        ('range = "2001:db8::/129"', "range: '2001:db8::/129' is no network"),
        ('range = ["2001:db8::/64", "2001:db8:1::/64"]', "range: there are 2 of IPv6: name one"),
        ('gateway = ["192.168.1.1", "192.168.1.2"]', "gateway: there are 2 of IPv4: name one"),
        ('gateway = "fe80::1%br0"', "gateway: 'fe80::1%br0' is no IPv4 address, nor one of IPv6"),
        ('dns = ["2001:db8::g"]', "dns: '2001:db8::g' is no IPv4 address, nor one of IPv6"),
        ("server = 5", "server: 5 is no IPv4 address"),
        ('gateway = ""', "gateway: '' is no IPv4 address"),
        ("dns = [3]", "dns: 3 is no IPv4 address"),
        ('dns = [["192.168.1.1"]]', "dns: ['192.168.1.1'] is no IPv4 address"),
        ('names = [""]', "names: '' cannot be a name"),
        ('names = ["two words"]', "names: 'two words' cannot be a name"),
        ('names = ["printer..lan"]', "names: 'printer..lan' cannot be a name"),
        ("names = [{a = 1}]", "names: {'a': 1} cannot be a name"),
        (f'names = ["{"a" * 300}"]', "cannot be a name"),
        ("names = " + "[" * 100_000 + "]" * 100_000, "it is larger than 64 KB"),
        ("names = " + "[" * 20_000 + "]" * 20_000, "it is nested too deeply"),
        ("names = " + "[" * 90 + "]" * 90, "cannot be a name"),
        ("nmaes = []", "'nmaes' is none of range,"),
        ("names = [", "Invalid value (at end of document)"),
        ("\xff".encode("latin-1"), "can't decode byte 0xff"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_one_line_and_exit_code_2(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], content: str | bytes, complaint: str
) -> None:
    file = tmp_path / "facts.toml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert exit_code(["run", "--target", "host", "--expect", str(file)]) == 2
    said = capfd.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert said.err.startswith(f"qemunet: --expect {file}: ")
    assert complaint in said.err


def test_a_file_that_says_everything(tmp_path: Path) -> None:
    file = tmp_path / "facts.toml"
    file.write_text(GOOD)
    said = expect_file.read(file)
    assert str(said.range_of(4)) == "192.168.1.100 to 192.168.1.199"
    assert said.range_of(6) is None
    assert (str(said.servers[0]), str(said.gateways[0])) == ("192.168.1.254", "192.168.1.254")
    assert expect_file.of_version(said.dns, 4) == ["192.168.1.254", "192.168.1.2"]
    assert said.names == ("printer.lan", "_ldap._tcp.lan.")


def test_a_file_that_tells_both_families(tmp_path: Path) -> None:
    file = tmp_path / "facts.toml"
    file.write_text(
        'range = ["192.168.1.0/24", "2001:db8::100-2001:db8::1ff"]\n'
        'gateway = ["fe80::1", "192.168.1.254"]\nserver = "2001:DB8:0::1"\ndns = ["2001:db8::53", "192.168.1.2"]\n'
    )
    said = expect_file.read(file)
    assert (str(said.range_of(4)), str(said.range_of(6))) == (
        "192.168.1.0 to 192.168.1.255",
        "2001:db8::100 to 2001:db8::1ff",
    )
    handed_out = said.range_of(6)
    assert handed_out is not None
    assert [address in handed_out for address in ("2001:db8::180", "2001:db8::200", "192.168.1.7")] == [
        True, False, False,
    ]  # fmt: skip
    assert expect_file.of_version(said.gateways, 6) == ["fe80::1"]
    assert expect_file.of_version(said.servers, 6) == ["2001:db8::1"]
    assert expect_file.of_version(said.servers, 4) == []
    assert expect_file.of_version(said.dns, 4) == ["192.168.1.2"]
