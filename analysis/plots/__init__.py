"""Comparison plots of a sweep, drawn from its files alone."""
