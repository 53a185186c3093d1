"""Throughput: what is measured, on which arms, and how a recording is kept. Measuring judges nothing."""
