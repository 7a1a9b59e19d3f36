/* The host that pf.conf's tests are read for: what "em0" and "egress" mean there. */
#ifndef NG_TESTS_PFHOST_H
#define NG_TESTS_PFHOST_H

#include "pf/host.h"

const struct pf_host *pfhost(void);

#endif
