"""Whether a host is fit, told without booting Linux: facts, and the checks that judge them."""
