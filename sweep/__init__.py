"""Runs a hyperparameter sweep: config, search, resume, confirmation and command line."""
