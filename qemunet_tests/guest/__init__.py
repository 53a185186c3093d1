"""Guests alive: booted or thawed, asked over a console, looked at from their wire."""
