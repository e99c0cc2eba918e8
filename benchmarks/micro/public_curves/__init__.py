"""Predictions held against throughput that others published; the programs here read tables that are not part of the
project."""
