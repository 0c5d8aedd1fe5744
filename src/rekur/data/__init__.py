"""Data: tables, windows, transformations, batches and the bundled samples."""
