"""Encoder of spectra and their augmentation."""
