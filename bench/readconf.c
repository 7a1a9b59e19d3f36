/* Reads a jail.conf, resolves every jail of it and checks all of them: what each command does
 * before it changes anything. Says how many jails there are; faults go to the standard error
 * output. */
#include <stdio.h>
#include "base/mem.h"
#include "conf/check.h"
#include "conf/conf.h"

int main(int argc, char **argv)
{
	autodone(conf_done) struct conf c = {0};
	struct diags d = {0};
	size_t n;
	if (argc != 2)
		return 64;
	bool failed = conf_read(&c, argv[1], &d) < 0 || d.errors || conf_check_all(&c, &d) < 0;
	free(conf_names(&c, &n));
	printf("%zu jails\n", n);
	for (size_t i = 0; i < d.n; i++) {
		autofree char *text = diag_format(&d.v[i]);
		fprintf(stderr, "%s\n", text);
	}
	diags_done(&d);
	return failed;
}
