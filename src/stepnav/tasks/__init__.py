"""Benchmarks, one per file: load, prompt, split, grade."""
