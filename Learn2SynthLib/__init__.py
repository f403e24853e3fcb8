"""Learn2Synth: brain segmentation learned from synthetic images whose synthesis is itself learned from a few real scans."""

__version__ = "0.1.0"
