"""Faults of a host that `qemunet doctor` names, before anybody runs a guest there."""

from meta_tests.faults.on_hosts.typed import QEMU, on_a_host

#: A QEMU that somebody built without libslirp.
WITHOUT_SLIRP = f"""
mkdir /mnt/built && cp {QEMU} /mnt/built/qemu-real
cat > /mnt/built/qemu <<'END'
#!/bin/sh
case "$*" in
*"-netdev help"*) /mnt/built/qemu-real "$@" | grep -v '^user$'; exit ;;
esac
exec /mnt/built/qemu-real -L /usr/share/qemu -L /usr/share/seabios -L /usr/lib/ipxe/qemu "$@"
END
chmod 755 /mnt/built/qemu
mount --bind /mnt/built/qemu {QEMU}
"""
NODE = "mknod -m {mode} /mnt/kvm c {numbers}; mount --bind /mnt/kvm /dev/kvm"

FAULTS = tuple(
    on_a_host(name, (capability,), cause, typed=typed, remedy=remedy, mended=mended, kind=kind,
              by_doctor=True, entails=tuple(entails))
    for name, capability, cause, typed, remedy, mended, kind, *entails in (
        ("kvm-closed", "kvm", r"may not open /dev/kvm \(mode 0600", NODE.format(mode=600, numbers="10 232"), "kvm",
         "chmod 666 /dev/kvm", "KVM is not permitted"),
        ("kvm-without-driver", "kvm", "no driver is behind it", NODE.format(mode=666, numbers="10 199"), "modprobe",
         "umount /dev/kvm", "KVM is not there"),
        ("kvm-is-something-else", "kvm", "/dev/kvm is not KVM", "mount --bind /dev/null /dev/kvm", "ls -l",
         "umount /dev/kvm", "KVM is not there"),
        ("ping-gate-closed", "ping", "net.ipv4.ping_group_range is 1 0",
         "echo 1 0 > /proc/sys/net/ipv4/ping_group_range", "sysctl -w net.ipv4.ping_group_range", None,
         "pings are not permitted"),
        ("roms-missing", "roms", "does not find the option ROMs", "mount -t tmpfs none /usr/lib/ipxe", "ipxe",
         "umount /usr/lib/ipxe", "option ROMs are missing"),
        ("bridge-missing", "bridge", "there is no bridge", "ip link del br0", "ip link add br0 type bridge",
         "ip link add br0 type bridge && ip link set br0 up && ip link set up0 master br0",
         "the bridge is missing", "default-mac", "virtual-switch", "route", "reverse-path", "dns", "dhcp-server",
         "qemu-routes"),
        ("without-libslirp", "slirp", "was built without libslirp", WITHOUT_SLIRP, "--enable-slirp", f"umount {QEMU}",
         # It lies elsewhere, and looks for its helper beside itself.
         "QEMU without libslirp", "smb", "helper", "helper-privilege"),
    )
)  # fmt: skip
