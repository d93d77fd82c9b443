"""Datasets by name, their split, batches, and augmentation of whole batches."""
