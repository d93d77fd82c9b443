"""MNIST fetched and verified, its split, batches, and augmentation of whole batches."""
