/* Modules of the running kernel. */
#ifndef NG_SYS_MODULES_H
#define NG_SYS_MODULES_H

#include <stdbool.h>
#include <stddef.h>

/* Does the kernel load modules, and are its own gone from /lib/modules? An upgrade may take them away
 * before anybody reboots; what was not loaded until then cannot be any more. Its release. */
bool modules_gone(char *release, size_t size);

#endif
