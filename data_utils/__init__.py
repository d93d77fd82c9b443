"""Getting and verifying MNIST, splits, batches and batched augmentation."""
