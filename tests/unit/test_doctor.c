/* The checks that look at files alone, with files of our own; and those parts that look at nothing. */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "doctor/check.h"
#include "sys/path.h"

static void judges_the_clock(void **state UNUSED)
{
	assert_int_equal(clock_judge(true, 1800000000), CLOCK_FINE);
	assert_int_equal(clock_judge(false, 1800000000), CLOCK_UNSYNCHRONISED);
	assert_int_equal(clock_judge(true, 1000), CLOCK_WRONG);
	assert_int_equal(clock_judge(false, 1500000000), CLOCK_WRONG);
}

static void compares_releases(void **state UNUSED)
{
	assert_true(release_at_least("5.15.0-generic", 5, 15));
	assert_true(release_at_least("6.1.0-13-amd64", 5, 15));
	assert_true(release_at_least("10.0", 5, 15));
	assert_false(release_at_least("5.14.21", 5, 15));
	assert_false(release_at_least("4.19.0", 5, 15));
	assert_false(release_at_least("5.2", 5, 15));
	assert_true(release_at_least("unknown", 5, 15));
}

static void reads_sysctl_lines(void **state UNUSED)
{
	static const struct {
		const char *text, *value;
	} cases[] = {
	    {"net.ipv4.ip_forward=1", "1"},
	    {"net.ipv4.ip_forward = 0 \n", "0"},
	    {"\t-net/ipv4/ip_forward =0", "0"},
	    {"net.ipv4.ip_forward=1\nnet.ipv4.ip_forward=0\n", "0"},
	    {"#net.ipv4.ip_forward=1\n;net.ipv4.ip_forward=1\n", NULL},
	    {"net.ipv4.ip_forward_x=1\nnet.ipv4=1\n", NULL},
	    {"net.ipv4.ip_forward\n", NULL},
	    {"net.ipv4.ip_forward=\n", ""},
	    {"", NULL},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autofree char *text = mem_strdup(cases[i].text);
		const char *got = sysctl_value(text, "net.ipv4.ip_forward");
		if (cases[i].value)
			assert_string_equal(got, cases[i].value);
		else
			assert_null(got);
	}
}

/* ---- a host of files ---- */

struct host {
	char proc[64];
	struct doctor d;
	struct gather gather;
	struct record rec; /* every jail's */
};

static void put(struct host *h, const char *path, const char *text)
{
	char file[256], folder[256];
	snprintf(file, sizeof file, "%s/%s", h->proc, path);
	snprintf(folder, sizeof folder, "%s", file);
	*strrchr(folder, '/') = '\0';
	assert_int_equal(file_mkdirs(folder, 0755), 0);
	assert_int_equal(file_replace(file, text, strlen(text), 0644), 0);
}

/* So many jails that run, each with an IPv4 address. */
static void set_up(struct host *h, size_t jails)
{
	*h = (struct host){.proc = "/tmp/doctor-XXXXXX"};
	assert_non_null(mkdtemp(h->proc));
	h->d = (struct doctor){.root = "", .proc = h->proc, .gather = &h->gather};
	h->gather.jail = mem_alloc(jails * sizeof(*h->gather.jail));
	h->gather.n = jails;
	strv_add(&h->rec.ip4, "10.0.0.2");
	for (size_t i = 0; i < jails; i++)
		h->gather.jail[i].rec = &h->rec;
}

static void tear_down(struct host *h)
{
	doctor_done(&h->d);
	strv_done(&h->rec.ip4);
	free(h->gather.jail);
	autoclose int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(path_remove_tree(tmp, strrchr(h->proc, '/') + 1), 0);
}

static void counts_neighbours(void **state UNUSED)
{
	static const struct {
		size_t jails;
		const char *most;
		int level; /* -1: nothing to tell */
		const char *fix;
	} cases[] = {
	    {10, "1024\n", -1, NULL},
	    {384, "1024\n", -1, NULL},
	    {385, "1024\n", DOCTOR_ADVICE, "sysctl -w net.ipv4.neigh.default.gc_thresh3=4096"},
	    {600, "1024\n", DOCTOR_HINDERS, "sysctl -w net.ipv4.neigh.default.gc_thresh3=4096"},
	    {10000, "1024\n", DOCTOR_HINDERS, "sysctl -w net.ipv4.neigh.default.gc_thresh3=65536"},
	    {10000, "32768\n", -1, NULL},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct host h;
		set_up(&h, cases[i].jails);
		put(&h, "sys/net/ipv4/neigh/default/gc_thresh3", cases[i].most);
		put(&h, "sys/net/ipv6/neigh/default/gc_thresh3", "1\n"); /* no jail has IPv6 */
		assert_int_equal(doctor_examine(&h.d, "neighbours"), 0);
		assert_int_equal(h.d.n, cases[i].level >= 0);
		if (h.d.n) {
			assert_int_equal((int)h.d.finding[0].level, cases[i].level);
			assert_string_equal(h.d.finding[0].check, "neighbours");
			assert_string_equal(h.d.finding[0].fix.v[2], cases[i].fix);
		}
		tear_down(&h);
	}
}

static void counts_namespaces(void **state UNUSED)
{
	struct host h;
	set_up(&h, 100);
	put(&h, "sys/user/max_net_namespaces", "64\n");
	put(&h, "sys/user/max_pid_namespaces", "31000\n");
	assert_int_equal(doctor_examine(&h.d, "namespaces"), 0);
	bool told = false;
	for (size_t i = 0; i < h.d.n; i++)
		told |= str_eq(h.d.finding[i].what, "only 64 net namespaces are allowed");
	assert_true(told);
	tear_down(&h);
}

static void looks_who_starts_jails(void **state UNUSED)
{
	static const char *list[] = {"db", NULL};
	static const struct {
		bool enable, listed, unit, running;
		const char *what[2];
	} cases[] = {
	    {true, false, true, true, {NULL}},
	    {true, false, true, false, {"web and 1 more do not run"}},
	    {true, true, true, false, {"db does not run"}},
	    {true, false, false, true, {"newgate.service is not enabled"}},
	    {true, true, false, false, {"db does not run", "newgate.service is not enabled"}},
	    {false, false, true, false, {"no jail starts with the host"}},
	    {false, false, false, false, {NULL}},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct rcconf rc = {.jail_enable = cases[i].enable,
				    .jail_list = cases[i].listed ? list : NULL};
		struct host h;
		set_up(&h, 2);
		h.d.root = h.proc;
		h.d.rc = &rc;
		put(&h, "run/systemd/system/some.unit", "");
		if (cases[i].unit)
			put(&h, "etc/systemd/system/multi-user.target.wants/newgate.service", "");
		h.gather.jail[0].name = h.gather.jail[0].block = "web";
		h.gather.jail[1].name = h.gather.jail[1].block = "db";
		for (size_t k = 0; k < 2 && !cases[i].running; k++)
			h.gather.jail[k].rec = NULL;
		assert_int_equal(doctor_examine(&h.d, "boot"), 0);
		assert_int_equal(h.d.n, !!cases[i].what[0] + !!cases[i].what[1]);
		for (size_t k = 0; k < h.d.n; k++)
			assert_string_equal(h.d.finding[k].what, cases[i].what[k]);
		tear_down(&h);
	}
}

static void knows_its_checks(void **state UNUSED)
{
	struct doctor d = {0};
	size_t n = 0;
	for (; doctor_check_name(n); n++) {
		const char *name = doctor_check_name(n);
		bool mail = str_prefix(name, "mail");

		assert_non_null(doctor_check_about(n));
		assert_true(doctor_check_among(n, name));
		assert_int_equal(doctor_check_among(n, NULL), !mail);
		assert_int_equal(doctor_check_among(n, "mail"), mail || str_eq(name, "ports"));
	}
	assert_in_range(n, 15, 64);
	assert_int_equal(doctor_examine(&d, "mai"), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(judges_the_clock),   cmocka_unit_test(compares_releases),
	    cmocka_unit_test(reads_sysctl_lines), cmocka_unit_test(counts_neighbours),
	    cmocka_unit_test(counts_namespaces),  cmocka_unit_test(looks_who_starts_jails),
	    cmocka_unit_test(knows_its_checks),
	};
	return cmocka_run_group_tests_name("doctor", tests, NULL, NULL);
}
