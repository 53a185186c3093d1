"""What the documentation promises of 10.0.2.4: an SMB server, where one is asked for."""

import secrets

import pytest

from qemunet_tests.observe.arp import answers_arp
from qemunet_tests.observe.lease import lease_of
from qemunet_tests.observe.smb import MOUNT_POINT, Content, arrived_in, content_in, mount

SERVER = "10.0.2.4"
#: Many times what one request carries.
SIZE_BYTES = 1024 * 1024


@pytest.mark.claim("user/smb-server")
@pytest.mark.lengthy
def test_a_folder_of_the_host_is_read_and_written(user_guest_with, shared_folder, claim):
    to_guest = secrets.token_bytes(SIZE_BYTES)
    (shared_folder / "to-guest").write_bytes(to_guest)
    guest = user_guest_with(options=(f"smb={shared_folder}",))
    assert lease_of(guest)
    trouble = mount(guest, SERVER)
    assert not trouble, claim.sees(trouble)
    read = content_in(guest, f"{MOUNT_POINT}/to-guest")
    guest.check(f"dd if=/dev/urandom of=/tmp/to-host bs=1k count={SIZE_BYTES // 1024} 2>/dev/null")
    sent = content_in(guest, "/tmp/to-host")
    written = guest.run(f"cp /tmp/to-host {MOUNT_POINT} && umount {MOUNT_POINT}")
    assert written.succeeded, claim.sees(written.complaint)
    kept = Content.of(arrived_in(shared_folder, "to-host") or b"")
    claim.sees(f"read {read.size_bytes} bytes, wrote {kept.size_bytes}")
    assert read == Content.of(to_guest), "what the guest read is not what the host wrote"
    assert kept == sent, "what the host got is not what the guest wrote"


@pytest.mark.claim("user/smb-absent")
@pytest.mark.lengthy
def test_nobody_is_there_unless_asked_for(leased_guest, claim):
    assert answers_arp(leased_guest, "10.0.2.3"), "nobody answers ARP at all"
    answered = answers_arp(leased_guest, SERVER)
    claim.sees(f"{SERVER} {'answers' if answered else 'does not answer'} ARP")
    assert not answered
