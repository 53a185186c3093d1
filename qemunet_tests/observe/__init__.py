"""Asking a guest, a station or QEMU, and returning facts. Nothing here judges."""
