"""What is planted into a run, so that a test sees it noticed."""
