"""Readers of shop feeds: each turns one format into a stream of raw items with constant memory."""
