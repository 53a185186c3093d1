/* What qemu-bridge-helper.c wants of QEMU's header of this name: the C library, GLib, and how QEMU was configured. */
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>
#include <glib.h>

#define CONFIG_LINUX 1
#define CONFIG_LIBCAP_NG 1
#define CONFIG_QEMU_CONFDIR "/etc/qemu"
#define QEMU_PACKED __attribute__((packed))
