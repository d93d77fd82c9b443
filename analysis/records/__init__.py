"""What a sweep writes down: ledger, confirmation, predictions."""
