"""Turning what shops write into one form: links, money and text."""
