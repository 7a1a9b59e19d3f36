#include "unit.h"

#include <stdlib.h>

#include "base/str.h"
#include "conf/rcconf.h"

/* The rc.conf that is shipped; etc/jail.conf.sample is read by tests/golden/examples. */
static void rc_conf(void **state UNUSED)
{
	autodone(rcconf_done) struct rcconf rc = {0};
	autodone(diags_done) struct diags d = {0};
	autodone(str_done) struct str path = {0};
	char net[IPNET_TEXT];

	str_addf(&path, "%s/etc/rc.conf.sample", getenv("NEWGATE_SOURCE"));
	assert_int_equal(access(path.s, R_OK), 0);
	assert_int_equal(rcconf_read(&rc, path.s, &d), 0);
	assert_int_equal(d.n, 0);
	assert_true(rc.jail_enable);
	const struct rc_interface *lo100 = rcconf_interface(&rc, "lo100");
	assert_non_null(lo100);
	assert_true(lo100->cloned);
	assert_int_equal(lo100->naddrs, 1);
	assert_string_equal(ipnet_text(&lo100->addr[0], net), "10.100.0.1/24");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rc_conf),
	};
	return cmocka_run_group_tests_name("samples", tests, NULL, NULL);
}
