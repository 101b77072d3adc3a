"""Benchmarks whose answers are programs, judged in the sandbox."""
