"""Tests of guest."""
