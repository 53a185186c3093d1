"""What keeps a run apart from the machine: namespaces, users, processes that die with it, and what it left behind."""
