"""Gifty: finds the right gift for a person."""

__version__ = "0.1.0"
