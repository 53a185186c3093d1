"""Hosts, networks and guests broken on purpose: the suite must notice, and blame the right thing."""
