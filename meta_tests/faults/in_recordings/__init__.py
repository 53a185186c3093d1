"""Recordings in which something is wrong with an arm: `compare` must find it, and name it."""
