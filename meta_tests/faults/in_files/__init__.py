"""Hosts of which something is wrong in their files or in what is tried there: the doctor must find it."""
