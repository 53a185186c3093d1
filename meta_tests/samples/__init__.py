"""What stands for a host, a recording or a result in tests."""
