"""Mirrors of a sweep in the tracker of the user's choice."""
