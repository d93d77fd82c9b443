"""The files that a sweep writes: ledger, confirmation, predictions."""
