"""What a sweep found, read from its files alone: ledger, best trial, costs, tables."""
