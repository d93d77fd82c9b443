"""Where sweeps are kept: folders on disks and in object stores, journals, locks."""
