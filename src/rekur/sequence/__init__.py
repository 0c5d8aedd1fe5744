"""Sequence models: from sequences to labels, values, tags, texts and transcripts."""
