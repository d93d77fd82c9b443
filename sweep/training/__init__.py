"""Training of one network: assignment, loop, checkpoint. Nothing here imports Ray."""
