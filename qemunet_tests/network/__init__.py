"""The network of the post, made of namespaces: host, router, neighbour, and a world outside."""

from qemunet_tests.network.lab_network import Lab

__all__ = ["Lab"]
