"""Documents that are made of what the program says of itself: options, claims, the manual page."""
