"""Schema changes, forward only: NNNN_name.sql."""
