"""Tests of qemu."""
