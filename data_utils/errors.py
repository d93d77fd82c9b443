"""The error of this package."""


class DataError(Exception):
    """The data is missing, damaged or cannot be stored; the message says what to do."""
