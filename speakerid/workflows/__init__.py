"""Enrol, identify: the rooms put together."""
