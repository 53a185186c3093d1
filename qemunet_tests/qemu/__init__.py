"""QEMU itself: its command line, its monitor, what this one can do, and how fast it is here."""
