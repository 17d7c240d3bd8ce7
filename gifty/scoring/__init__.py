"""Judging gifts: the gift matrix and the profile of each gift."""
