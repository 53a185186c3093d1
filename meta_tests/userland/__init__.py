"""Another Debian as a machine: its userland on this machine's kernel, unpacked by mmdebstrap.

A chroot would not do: the kernel refuses user namespaces to a chrooted process. So the userland becomes the root of a
mount namespace, and its first process that of a PID namespace, which ends all others with it.
"""
