"""Training one network: what it needs, the loop, its checkpoint. Nothing here knows Ray."""
