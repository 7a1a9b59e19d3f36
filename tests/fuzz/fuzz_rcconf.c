/* rc.conf: what is understood of it holds together. */
#include <string.h>

#include "base/str.h"
#include "conf/rcconf.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autodone(rcconf_done) struct rcconf rc = {0};
	autodone(diags_done) struct diags d = {0};

	rcconf_read_text(&rc, "fuzz", (const char *)data, size, &d);
	FUZZ_CHECK(rc.pf_rules[0] == '/');
	for (size_t i = 0; i < rc.ninterfaces; i++) {
		const struct rc_interface *ifp = &rc.interface[i];
		FUZZ_CHECK(*ifp->name && strlen(ifp->name) <= 15);
		FUZZ_CHECK(rcconf_interface(&rc, ifp->name) == ifp);
		for (size_t k = 0; k < ifp->naddrs; k++)
			FUZZ_CHECK(ifp->addr[k].len <= ip_bits(&ifp->addr[k].addr));
	}
	for (const char **name = rc.jail_list; name && *name; name++)
		FUZZ_CHECK(**name && !strpbrk(*name, " \t\n"));
	return 0;
}
