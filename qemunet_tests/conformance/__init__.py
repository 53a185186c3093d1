"""The tests that are shipped: the only place that judges guest networking."""
