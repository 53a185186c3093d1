"""QEMU's sandbox."""

#: All that qemu(1) knows to deny.
SANDBOX = ("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny")
