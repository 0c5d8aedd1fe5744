"""Tasks: estimators composed of data, a stack and a head."""
