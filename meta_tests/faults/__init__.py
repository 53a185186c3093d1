"""Hosts, networks and guests broken on purpose: the suite must notice, blame the right thing, and stay calm elsewhere."""
