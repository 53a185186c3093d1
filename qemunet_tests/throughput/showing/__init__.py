"""Recordings for people: tables, Markdown, plots."""
