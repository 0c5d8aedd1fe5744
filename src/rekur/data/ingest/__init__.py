"""Ingestion: from a user's file or data frame to a `Panel`."""
