"""The process that runs a sweep: session, search, confirmation, resuming, signals."""
