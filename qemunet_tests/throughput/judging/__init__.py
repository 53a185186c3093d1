"""What recordings mean: ratios with their uncertainty, and verdicts about them."""
