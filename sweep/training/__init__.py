"""Training one network: its assignment, the loop, its checkpoint. Nothing here imports Ray."""
