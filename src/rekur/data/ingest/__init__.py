"""Ingestion: from files and data frames to a `rekur.data.panel.Panel`, and back to data frames."""
