"""Hosts of namespaces broken by hand: what an administrator, a program or an update did."""
