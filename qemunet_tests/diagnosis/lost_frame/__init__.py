"""Where on its way a frame was lost: from the guest outwards, over QEMU and the host, to the LAN and beyond.

`search` puts the question again and follows it, `where_lost` says where it was seen last; the others look at one thing
that stands on the way.
"""
