"""What this machine is and allows: small readers that never raise for a missing file.

Every reader takes `root`, the folder that stands for `/`, so that a tree of files can stand for another host.
"""
