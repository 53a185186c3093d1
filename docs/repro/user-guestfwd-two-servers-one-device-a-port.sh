#!/bin/sh
# guestfwd= can be given several times, says the manual. Two devices for two servers with one port are refused.
rules="guestfwd=tcp:10.0.2.100:80-null,guestfwd=tcp:10.0.2.101:80-null"
said=$(echo quit | "${QEMU:-qemu-system-x86_64}" -M none -display none -monitor stdio -netdev "user,id=u,$rules" 2>&1)
case $said in
    *"Could not open guest forwarding device"*) echo "$said" && echo "deviates: the second device is refused" ;;
    *) echo "kept: QEMU starts" ;;
esac
