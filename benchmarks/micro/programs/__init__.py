"""Measuring programs of the micro-benchmarks: each a process of its own, request in, seconds out."""
