#!/bin/sh
# An e1000e whose cable is taken out and put in, before a driver that reads the cause of each interrupt, as Linux does.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
import re
import subprocess
import time

from frames import QEMU, says

#: Of the 82574 GbE Controller's data sheet: registers, two causes, and what Linux has in CTRL_EXT.
STATUS, CTRL_EXT, ICR, IMS, IVAR = 0x08, 0x18, 0xC0, 0xD0, 0xE4
LSC, OTHER, EIAME, PBA_CLR = 1 << 2, 1 << 24, 1 << 24, 1 << 31
VECTOR, SLOT, MSIX_AT, PENDING_AT = 2, 5, 0xA0, 0x2000

words = ["-M", "pc", "-nodefaults", "-display", "none", "-monitor", "stdio", "-netdev", "user,id=lan"]
words += ["-device", f"e1000e,netdev=lan,id=card,addr={SLOT},romfile="]
qemu = subprocess.Popen([QEMU, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def ask(line):
    """What the monitor answers: all until it echoes a command that there is not."""
    qemu.stdin.write(f"{line}\nover\n".encode())
    qemu.stdin.flush()
    said = b""
    while b"unknown command: 'over'" not in said:
        said += qemu.stdout.read1()
    return said.decode()


def places():
    """Where the firmware has put the window of ports to the registers, and the vectors; None as long as it has not."""
    found = [re.search(rf"BAR{number}: .* at 0x([0-9a-f]{{4,8}}) ", ask("info pci")) for number in (2, 3)]
    return [int(each[1], 16) for each in found] if all(found) else None


def write(register, value):
    ask(f"o /w {ports:#x} {register:#x}")
    ask(f"o /w {ports + 4:#x} {value:#x}")


def read(register):
    ask(f"o /w {ports:#x} {register:#x}")
    return int(re.search(r"= 0x([0-9a-f]+)", ask(f"i /w {ports + 4:#x}"))[1], 16)


def pending():
    """Whether the interrupt is raised in time, of a link that takes half a second: nobody takes it, and so it waits."""
    until = time.monotonic() + 3
    while time.monotonic() < until:
        said = re.search(r"[0-9a-f]{8,}: 0x([0-9a-f]+)", ask(f"xp /1xw {vectors + PENDING_AT:#x}"))
        if int(said[1], 16) >> VECTOR & 1:
            return True
        time.sleep(0.1)
    return False


ports, until = 0, time.monotonic() + 50
# All bits are set where nothing answers yet.
while not ports or read(STATUS) in (0, 0xFFFFFFFF):
    time.sleep(0.1)
    ports, vectors = places() or (0, 0)
    if time.monotonic() > until:
        raise SystemExit("the firmware gives the NIC no place")
ask(f"o /w 0xcf8 {1 << 31 | SLOT << 11 | MSIX_AT:#x}")
ask("o /h 0xcfe 0x8000")
write(IVAR, (8 | VECTOR) << 16)
write(CTRL_EXT, EIAME | PBA_CLR)
write(IMS, LSC | OTHER)
told = []
for state in ("off", "on"):
    ask(f"set_link card {state}")
    told.append(pending())
    # What Linux does of each: e1000_msix_other (drivers/net/ethernet/intel/e1000e/netdev.c).
    read(ICR)
    write(IMS, LSC | OTHER)
qemu.kill()
qemu.wait()
says(told == [True, False], f"interrupts: {' and '.join('one' if each else 'none' for each in told)}")
EOF
