#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "conf/conf.h"
#include "jail/privs.h"
#include "sys/caps.h"
#include "sys/seccomp.h"

static struct privs of(const char *params)
{
	struct conf c = {0};
	struct conf_jail j = {0};
	struct diags d = {0};
	struct str text autodone(str_done) = {0};
	str_addf(&text, "j { path = /; persist; %s }", params);
	conf_read_text(&c, "test", "/", text.s, text.len, &d);
	if (conf_resolve(&c, "j", CONF_FOR_START, &j, &d) < 0)
		fail_msg("%s: %s", params, d.n ? d.v[0].text : "?");
	struct privs p = privs_of(&j);
	conf_jail_done(&j);
	conf_done(&c);
	diags_done(&d);
	return p;
}

static bool can(struct privs p, const char *cap)
{
	int n = caps_number(cap);
	assert_true(n >= 0);
	return p.caps & CAP_BIT(n);
}

static void the_base_set(void **state)
{
	(void)state;
	struct privs p = of("");
	static const char *const in[] = {
	    "chown",  "dac_override", "fowner",  "fsetid",     "setfcap",     "setuid",
	    "setgid", "kill",         "setpcap", "sys_chroot", "audit_write", "net_bind_service"};
	static const char *const out[] = {
	    "net_raw",  "net_admin", "sys_admin", "sys_module",   "sys_rawio",
	    "sys_time", "sys_boot",  "mknod",     "sys_resource", "dac_read_search",
	    "syslog",   "mac_admin", "bpf",       "ipc_owner"};
	for (size_t i = 0; i < ARRAY_SIZE(in); i++)
		assert_true(can(p, in[i]));
	for (size_t i = 0; i < ARRAY_SIZE(out); i++)
		assert_false(can(p, out[i]));
	assert_int_equal(p.filter, SC_PTRACE);
	assert_false(p.memlock);
	assert_int_equal(p.files, 0);
}

/* Each permission adds what it names and leaves the rest as it is. */
static void each_permission_adds_its_own(void **state)
{
	static const struct {
		const char *param, *cap;
		unsigned filter;
	} row[] = {
	    {"allow.raw_sockets;", "net_raw", 0},
	    {"allow.routing;", "net_admin", 0},
	    {"allow.set_hostname;", "sys_admin", SC_HOSTNAME},
	    {"allow.mount; allow.mount.tmpfs; enforce_statfs = 1;", "sys_admin", SC_MOUNT},
	    {"children.max = 1;", "sys_admin", SC_NAMESPACES},
	    {"allow.sysvipc;", "ipc_owner", SC_SYSVIPC},
	    {"sysvshm = new;", "ipc_owner", SC_SYSVIPC},
	    {"allow.socket_af;", NULL, SC_SOCKET_AF},
	};
	(void)state;
	struct privs base = of("");
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct privs p = of(row[i].param);
		uint64_t cap = row[i].cap ? CAP_BIT(caps_number(row[i].cap)) : 0;
		assert_int_equal(p.caps, base.caps | cap);
		assert_int_equal(p.filter, base.filter | row[i].filter);
	}
}

static void mounting_takes_three(void **state)
{
	(void)state;
	assert_false(of("allow.mount; allow.mount.tmpfs;").filter & SC_MOUNT);
	assert_false(of("allow.mount; enforce_statfs = 1;").filter & SC_MOUNT);
	assert_false(of("allow.mount.tmpfs; enforce_statfs = 1;").filter & SC_MOUNT);
	assert_true(of("allow.mount; allow.mount.tmpfs; enforce_statfs = 0;").filter & SC_MOUNT);
}

static void what_takes_away(void **state)
{
	(void)state;
	assert_false(can(of("allow.noreserved_ports;"), "net_bind_service"));
	assert_int_equal(of("allow.nosuser; allow.raw_sockets;").caps, 0);
	struct privs p = of("allow.nounprivileged_proc_debug;");
	assert_false(can(p, "sys_ptrace"));
	assert_false(p.filter & SC_PTRACE);
}

static void vnet_owns_its_stack(void **state)
{
	(void)state;
	struct privs p = of("vnet;");
	assert_true(can(p, "net_admin") && can(p, "net_raw"));
	assert_false(can(p, "sys_admin"));
}

static void resource_limits(void **state)
{
	(void)state;
	assert_true(of("allow.mlock;").memlock);
	assert_int_equal(of("rctl = \"openfiles:deny=512\";").files, 512);
}

static void text_and_back(void **state)
{
	static const char *const bad[] = {"",        "1",        "1:2:0",    "1:2:2:0",
					  "x:2:0:0", "1:64:0:0", "1:2:0:0:0"};
	(void)state;
	struct privs p = of("allow.mlock; allow.raw_sockets; rctl = \"openfiles:deny=64\";"), q;
	struct str b autodone(str_done) = {0};
	privs_format(&b, &p);
	assert_int_equal(privs_parse(b.s, &q), 0);
	assert_int_equal(p.caps, q.caps);
	assert_int_equal(p.filter, q.filter);
	assert_int_equal(p.memlock, q.memlock);
	assert_int_equal(p.files, q.files);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(privs_parse(bad[i], &q), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_base_set),         cmocka_unit_test(each_permission_adds_its_own),
	    cmocka_unit_test(mounting_takes_three), cmocka_unit_test(what_takes_away),
	    cmocka_unit_test(vnet_owns_its_stack),  cmocka_unit_test(resource_limits),
	    cmocka_unit_test(text_and_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
