/* Reads an rc.conf and prints what was understood of it; where there are faults, those (exit 1). */
#include <stdio.h>

#include "conf/rcconf.h"

static void show_interface(const struct rc_interface *ifp)
{
	printf("interface %s%s\n", ifp->name, ifp->cloned ? " cloned" : "");
	for (size_t i = 0; i < ifp->naddrs; i++) {
		char text[IPNET_TEXT];
		printf("\t%s\n", ipnet_text(&ifp->addr[i], text));
	}
}

int main(int argc, char **argv)
{
	autodone(rcconf_done) struct rcconf rc = {0};
	autodone(diags_done) struct diags d = {0};

	if (argc != 2)
		return 2;
	int r = rcconf_read(&rc, argv[1], &d);
	for (size_t i = 0; i < d.n; i++) {
		autofree char *text = diag_format(&d.v[i]);
		puts(text);
	}
	if (r < 0 || d.errors)
		return 1;
	printf("jail_enable %d jail_reverse_stop %d pf_enable %d gateway_enable %d\n",
	       rc.jail_enable, rc.jail_reverse_stop, rc.pf_enable, rc.gateway_enable);
	printf("pf_rules %s\n", rc.pf_rules);
	for (const char **name = rc.jail_list; name && *name; name++)
		printf("jail %s\n", *name);
	for (size_t i = 0; i < rc.ninterfaces; i++)
		show_interface(&rc.interface[i]);
	return 0;
}
