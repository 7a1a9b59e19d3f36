#include "unit.h"
#include <string.h>
#include "base/macro.h"
#include "base/mem.h"
#include "jail/hookhelp.h"

/* What the advice must speak of; NULL: none is due. */
static const struct {
	const char *command, *about;
} cases[] = {
    /* as found in jail.conf files */
    {"ifconfig epair0 create", "makes the jail's link itself"},
    {"/sbin/ifconfig epair12 create up", "ip4.addr"},
    {"ifconfig bridge0 addm epair0a up", "makes the jail's link itself"},
    {"ifconfig bridge0 addm em1", "not bridged"},
    {"ifconfig epair0b vnet web", "vnet.interface"},
    {"ifconfig em1 -vnet web", "comes back"},
    {"ifconfig em1 vnet web", "vnet.interface"},
    {"ifconfig lo1 create", "`interface`"},
    {"ifconfig lo1 alias 10.0.0.2/32", "ip4.addr"},
    {"ifconfig em0 inet6 2001:db8::2/128 alias", "ip6.addr"},
    {"ifconfig em0 10.0.0.2 -alias", "takes the jail's addresses away"},
    {"ifconfig em0 inet 10.0.0.2/24", "ip4.addr"},
    {"ifconfig", "ip(8)"},
    {"ifconfig -a", "ip(8)"},
    {"jib addm web em0", "ip4.addr"},
    {"jng bridge web em0", "ip4.addr"},
    {"ngctl mkpeer em0: bridge lower link0", "netgraph"},
    {"route add default 10.0.0.1", "routes itself"},
    {"/sbin/route -n get default", "routes itself"},
    {"sysrc -R /jails/web nginx_enable=YES", "rc.conf"},
    {"pw useradd www -u 80", "useradd(8)"},
    {"devfs -m /jails/web/dev rule -s 4 applyset", "mount.devfs"},
    {"mount -t devfs devfs /jails/web/dev", "mount.devfs"},
    {"mount -t nullfs /data /jails/web/data", "`mount`"},
    {"mount_nullfs -o ro /data /jails/web/data", "`mount`"},
    {"zfs jail web tank/web", "datasets"},
    {"zfs set jailed=on tank/web", "`newgate clone`"},
    {"zfs snapshot tank/web@start", "zfsutils-linux"},
    {"setfib 1 /bin/true", "setfib"},
    {"rctl -a jail:web:memoryuse:deny=512m", "rctl = "},
    {"cpuset -l 0-1 -j web", "rctl = "},
    {"kldload pf", "modules"},
    /* wherever a shell would run it */
    {"true && ifconfig epair0 create", "epair"},
    {"true; jib addm web em0", "ip4.addr"},
    {"test -e /x || (cd / && jib destroy web)", "ip4.addr"},
    {"logger \"made $(ifconfig epair create)\"", "epair"},
    {"logger `ifconfig epair create`", "epair"},
    {"e0=$(ifconfig epair create) && echo ${e0%a}", "epair"},
    {"x=1 y=2 ifconfig epair0 create", "epair"},
    {"if ! ifconfig epair0; then true; fi", "epair"},
    {"{ ifconfig epair0 create; }", "epair"},
    {"sudo ifconfig epair0 create", "epair"},
    {"sh -c 'ifconfig epair0 create'", "epair"},
    {"/bin/sh -e -c \"true; ifconfig \\\"epair0\\\" create\"", "epair"},
    {"echo one\nifconfig epair0 create", "epair"},
    {"ifconfig 'epair'0 create", "epair"},
    {"echo x | jng bridge a b 2>&1", "ip4.addr"},
    {"true & jng bridge a b", "ip4.addr"},
    /* and nowhere else */
    {"", NULL},
    {"   ", NULL},
    {"echo ifconfig epair0 create", NULL},
    {"echo 'ifconfig epair0; route add'", NULL},
    {"echo \"; route add\"", NULL},
    {"echo \\; route add", NULL},
    {"# ifconfig epair0 create", NULL},
    {"true # ; route add", NULL},
    {"/bin/sh /etc/rc", NULL},
    {"/bin/sh route -c", NULL},
    {"ip route add default via 10.0.0.1", NULL},
    {"mount -t tmpfs tmpfs /mnt", NULL},
    {"mkdir /jails/route", NULL},
    {"my-ifconfig epair0", NULL},
    {"cp route pw sysrc", NULL},
    {"$route add", NULL},
    {"${ifconfig} epair0 create", NULL},
    {"route=1 true", NULL},
    /* unfinished text ends the search, nothing else */
    {"echo 'ifconfig", NULL},
    {"echo \"ifconfig", NULL},
    {"echo $(", NULL},
    {"echo ${", NULL},
    {"echo `", NULL},
    {"echo \\", NULL},
    {"echo $", NULL},
    {"$(ifconfig epair0 create", "epair"},
    {"sh -c", NULL},
};

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *got = hookhelp(cases[i].command), *want = cases[i].about;
		if (want ? !got || !strstr(got, want) : got != NULL)
			fail_msg("%s: got \"%s\", want %s%s", cases[i].command,
				 got ? got : "nothing", want ? "something about " : "nothing",
				 want ? want : "");
	}
}

/* It ends, in bounds, for every beginning of every command. */
static void test_beginnings(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (size_t n = 0; n <= strlen(cases[i].command); n++) {
			autofree char *text = mem_strndup(cases[i].command, n);
			const char *got = hookhelp(text);
			assert_true(!got || *got);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_table),
	    cmocka_unit_test(test_beginnings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
