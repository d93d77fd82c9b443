"""The error of this package."""


class DataError(Exception):
    """The data is missing, broken or cannot be stored; the text says what to do about it."""
