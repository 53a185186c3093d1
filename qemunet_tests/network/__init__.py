"""The network of the post, "Basic networking with QEMU", made of namespaces: host, router, neighbour and outside."""

from qemunet_tests.network.lab_network import Lab

__all__ = ["Lab"]
