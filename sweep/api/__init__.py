"""Sweeps from Python, and what the commands stand on."""
