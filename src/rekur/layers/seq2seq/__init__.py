"""Encoder-decoder networks: attention, decoder, pointer-generator, beam search."""
