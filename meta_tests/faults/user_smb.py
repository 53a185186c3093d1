"""Faults of the SMB server of user networking: where it is, what QEMU is started with, and how it ends."""

from meta_tests.faults.fault import fault
from meta_tests.faults.frames import FROM_QEMU, FrameShim
from meta_tests.faults.wrapper import set_user_option
from qemunet_tests.network import Lab
from qemunet_tests.qemu.command_line import QemuProcess

SMB_SENTINELS = ("user/smb-missing-program", "user/smb-missing-folder", "user/smb-two-ports", "user/smb-address",
                 "user/restrict-smb")  # fmt: skip


def _others(*claims: str) -> tuple[str, ...]:
    return tuple(each for each in SMB_SENTINELS if each not in claims)


def _refuse(wire: FrameShim, port: int) -> None:
    """A connection to a port of the server is refused where QEMU agrees to it."""
    wire.alter(FROM_QEMU, {"IP.src": "10.0.2.4", "TCP.sport": port, "TCP.flags": "SA"}, {"TCP.flags": "RA"})


@fault("user/smb-two-ports", cause="at the ports of the server: 139: refused; 445: SMB 2.1",
       sentinels=_others("user/smb-two-ports"))  # fmt: skip
def netbios_port_closed(wire: FrameShim) -> None:
    """The older one of the ports of SMB is closed."""
    _refuse(wire, 139)


@fault("user/restrict-smb", "user/smb-two-ports", cause="with restrict=on: refused|ports of the server: 139: SMB 2.1; "
       "445: refused", sentinels=_others("user/restrict-smb", "user/smb-two-ports"))  # fmt: skip
def smb_port_closed(wire: FrameShim) -> None:
    """The newer one of the ports of SMB is closed, at the address that the server has by itself."""
    _refuse(wire, 445)


@fault("user/smb-address", cause=r"with smbserver=10\.0\.2\.9: 10\.0\.2\.9: nobody; 10\.0\.2\.4: SMB 2\.1",
       sentinels=_others("user/smb-address"))  # fmt: skip
def server_not_moved(lab: Lab) -> None:
    """A management tool knows no `smbserver=`."""
    set_user_option(lab, "smbserver", None)


@fault("user/smb-missing-folder", "user/smb-missing-program",
       cause="with smb= of a folder that is not there: QEMU starts|without smbd: QEMU starts",
       sentinels=("user/tftp-off", "user/tftp-read", "user/restrict-lease"))  # fmt: skip
def share_left_out(lab: Lab) -> None:
    """A management tool leaves out the share that QEMU would refuse."""
    set_user_option(lab, "smb", None)


@fault("user/smb-leaves-nothing", cause="of what QEMU made for the server: after quit: left; after kill -9: left",
       sentinels=SMB_SENTINELS)  # fmt: skip
def killed_instead_of_quit(lab: Lab) -> None:
    """Somebody kills QEMU who should have told it to end."""
    quit_it = QemuProcess.quit

    def kill(qemu: QemuProcess) -> None:
        if qemu.process.poll() is None:
            qemu.kill()
        quit_it(qemu)

    QemuProcess.quit = kill
