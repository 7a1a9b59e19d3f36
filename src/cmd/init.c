/* newgate init: the first files, made to fit the host. */
#include <getopt.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/init.h"
#include "conf/files.h"
#include "conf/rcconf.h"
#include "net/range.h"
#include "store/store.h"
#include "sys/rtnl.h"

#define SHOWN 8 /* networks that are listed; the others are counted */

struct init {
	bool only_print;
	struct rcconf rc;
	struct state state;
	struct net net;
	bool six;              /* the host has IPv6 */
	char ifname[IFNAMSIZ]; /* what jails hang on */
	struct ipnet gw4, gw6; /* family 0: none */
	bool failed, wrote;
};

static void init_done(struct init *k)
{
	if (k->net.host)
		net_done(&k->net);
	state_done(&k->state);
	rcconf_done(&k->rc);
}

/* ---- what is there ---- */

static void print_outside(struct init *k)
{
	struct rtnl_link outside, other;
	char text[IP_TEXT];
	const char *gap = " ";
	bool four = net_outside(&k->net, AF_INET, &outside);
	k->six = net_outside(&k->net, AF_INET6, four ? &other : &outside);
	if (!four && !k->six) {
		puts("outside:  no route leads to the internet yet");
		return;
	}
	printf("outside:  %s", outside.name);
	for (size_t i = 0; i < k->net.host->naddrs; i++) {
		const struct host_address *a = &k->net.host->addr[i];
		bool link_local = a->net.addr.family == AF_INET6 && a->net.addr.bytes[0] == 0xfe;
		if (a->index != outside.index || link_local)
			continue;
		printf("%s%s", gap, ip_text(&a->net.addr, text));
		gap = ", ";
	}
	putchar('\n');
}

/* Private networks that others have, each once: "10.8.0.0/24 (wg0)". */
static void add_network(struct strv *out, const struct ipnet *net, int index)
{
	char text[IPNET_TEXT], ifname[IFNAMSIZ];
	struct ipnet whole = {ipnet_first(net), net->len};
	struct str line autodone(str_done) = {0};
	if (!net->len || net->len == ip_bits(&net->addr) || !ip_is_private(&net->addr) ||
	    ip_is_loopback(&net->addr) || (net->addr.family == AF_INET6 && net->len < 16) ||
	    !if_indextoname((unsigned)index, ifname) || str_eq(ifname, "lo"))
		return;
	if (net->addr.family == AF_INET6 && (net->addr.bytes[0] & 0xfe) != 0xfc)
		return; /* link-local */
	str_addf(&line, "%s (%s)", ipnet_text(&whole, text), ifname);
	if (!strv_has(out, line.s))
		strv_add(out, line.s);
}

static int see_route(const struct rtnl_route *r, void *arg)
{
	add_network(arg, &r->to, r->index);
	return 0;
}

static void print_networks(struct init *k)
{
	struct strv nets autodone(strv_done) = {0};
	struct ng_err none = {0};
	for (size_t i = 0; i < k->net.host->naddrs; i++)
		add_network(&nets, &k->net.host->addr[i].net, k->net.host->addr[i].index);
	if (rtnl_each_route(&k->net.route, AF_INET, see_route, &nets, &none) < 0 ||
	    rtnl_each_route(&k->net.route, AF_INET6, see_route, &nets, &none) < 0)
		warn_msg("%s", none.text);
	for (size_t i = 0; i < nets.n && i < SHOWN; i++)
		printf("%-10s%s\n", i ? "" : "in use:", nets.v[i]);
	if (nets.n > SHOWN)
		printf("%-10s… and %zu more\n", "", nets.n - SHOWN);
}

/* ---- the network of jails ---- */

static void print_range(const struct init *k, const char *label)
{
	const struct ipnet *both[] = {&k->gw4, &k->gw6};
	char text[IPNET_TEXT];
	printf("%-10s", label);
	for (size_t i = 0, n = 0; i < ARRAY_SIZE(both); i++)
		if (both[i]->addr.family) {
			struct ipnet net = {ipnet_first(both[i]), both[i]->len};
			printf("%s%s", n++ ? ", " : "", ipnet_text(&net, text));
		}
	printf(" on %s\n", k->ifname);
}

/* rc.conf has one already: its first interface that newgate makes. */
static bool have_range(struct init *k)
{
	for (size_t i = 0; i < k->rc.ninterfaces; i++) {
		const struct rc_interface *r = &k->rc.interface[i];
		if (!r->cloned || strlen(r->name) >= sizeof(k->ifname))
			continue;
		for (size_t a = 0; a < r->naddrs; a++) {
			struct ipnet *gw = r->addr[a].addr.family == AF_INET ? &k->gw4 : &k->gw6;
			if (!gw->addr.family && r->addr[a].len < ip_bits(&r->addr[a].addr))
				*gw = r->addr[a];
		}
		if (!k->gw4.addr.family && !k->gw6.addr.family)
			continue;
		snprintf(k->ifname, sizeof(k->ifname), "%s", r->name);
		print_range(k, "network:");
		return true;
	}
	return false;
}

static bool choose_range(struct init *k)
{
	struct ng_err err = {0};
	int rc = 0;
	for (unsigned i = 100; i < 200; i++) {
		snprintf(k->ifname, sizeof(k->ifname), "lo%u", i);
		if (!if_nametoindex(k->ifname))
			break;
	}
	rc = range_free(&k->net, AF_INET, &k->gw4, &err);
	if (rc == 0 && k->six)
		rc = range_free(&k->net, AF_INET6, &k->gw6, &err);
	if (rc < 0) {
		warn_msg("%s", err.text);
		return false;
	}
	print_range(k, "chosen:");
	return true;
}

/* ---- files ---- */

#define RC_HEAD "# /etc/rc.conf - see rc.conf(5); newgate reads a few of its variables.\n\n"

static char *rc_text(const struct init *k)
{
	struct str s = {0};
	char text[IP_TEXT];
	str_addf(&s,
		 RC_HEAD
		 "# The network of jails, a private one of this host. The address is its gateway.\n"
		 "cloned_interfaces=\"%s\"\n",
		 k->ifname);
	struct ip mask = {AF_INET, {0}};
	for (unsigned i = 0; i < k->gw4.len; i++)
		mask.bytes[i / 8] |= (uint8_t)(0x80 >> i % 8);
	if (k->gw4.addr.family) {
		str_addf(&s, "ifconfig_%s=\"inet %s", k->ifname, ip_text(&k->gw4.addr, text));
		str_addf(&s, " netmask %s\"\n", ip_text(&mask, text));
	}
	if (k->gw6.addr.family)
		str_addf(&s, "ifconfig_%s_ipv6=\"inet6 %s prefixlen %u\"\n", k->ifname,
			 ip_text(&k->gw6.addr, text), k->gw6.len);
	str_add(&s, "\n# Jails start with the host. Those of jail_list, in that order, or all.\n"
		    "jail_enable=\"YES\"\n"
		    "#jail_list=\"\"\n");
	return str_take(&s);
}

static char *jail_text(const struct init *k)
{
	struct str s = {0};
	str_addf(
	    &s,
	    "# /etc/jail.conf - see jail.conf(5). What stands outside of blocks holds for every "
	    "jail\n"
	    "# below; a jail's own block may say otherwise. `newgate check` tells what is "
	    "wrong.\n\n"
	    "exec.start = \"/bin/sh /etc/rc\";		# starts what the jail's /etc/rc.conf "
	    "enables\n"
	    "exec.stop = \"/bin/sh /etc/rc.shutdown\";\n"
	    "exec.clean;				# with a clean environment\n"
	    "exec.consolelog = \"/var/log/jail_${name}_console.log\";\n"
	    "mount.devfs;\n"
	    "persist;				# it stays, though nothing may run in it\n\n"
	    "path = \"/var/jails/$name\";		# newgate create and clone make it\n"
	    "host.hostname = \"$name\";\n"
	    "interface = \"%s\";			# the network in /etc/rc.conf\n"
	    "%sip4.addr = auto;			# a free address of it, the same at every start\n"
	    "%sip6.addr = auto;\n\n"
	    "# A jail may open connections to the internet, and to nobody else; nobody reaches "
	    "it.\n"
	    "# What widens or narrows that:\n"
	    "#\n"
	    "#	web {\n"
	    "#		rdr = \"tcp 80\", \"tcp 443 -> 8443\";		# from outside to it\n"
	    "#		allow.connect = \"internet\", \"db tcp 5432\";	# and from it to db\n"
	    "#		service = \"nginx -g 'daemon off;'\";		# kept running\n"
	    "#		rctl = \"memoryuse:deny=512m\";\n"
	    "#	}\n"
	    "#\n"
	    "# `newgate create NAME` adds a block at the end of this file. A file for each jail "
	    "does as\n"
	    "# well:\n"
	    ".include \"/etc/jail.conf.d/*.conf\";\n",
	    k->ifname, k->gw4.addr.family ? "" : "#", k->gw6.addr.family ? "" : "#");
	return str_take(&s);
}

/* Shows what would be in the file, indented. */
static void show(const char *text)
{
	for (const char *p = text; *p;) {
		size_t n = strcspn(p, "\n");
		printf("%s%.*s\n", n ? "    " : "", (int)n, p);
		p += n + (p[n] == '\n');
	}
}

/* Writes a file that is not there. Where one is, tells what it might lack: `add`, or NULL. */
static void put_file(struct init *k, const char *file, const char *text, const char *add)
{
	autofree char *path = files_path(cmd_root, file);
	struct stat st;
	bool there = lstat(path, &st) == 0;
	int rc = there || k->only_print ? 0 : file_create(path, text, strlen(text), 0644);
	if (rc < 0 && rc != -EEXIST) {
		warn_msg("%s: %s", path, strerror(-rc));
		k->failed = true;
	} else if (there || rc == -EEXIST) {
		printf("%s is there, and stays as it is\n", file);
		if (add) {
			puts("what it lacks, for you to add:");
			show(add);
		}
	} else if (k->only_print) {
		printf("would write %s:\n", file);
		show(text);
	} else {
		printf("wrote %s\n", file);
		k->wrote = true;
	}
}

static void put_folder(struct init *k, const char *folder, mode_t mode)
{
	autofree char *path = files_path(cmd_root, folder);
	if (access(path, F_OK) == 0)
		return;
	int rc = k->only_print ? 0 : file_mkdirs(path, mode);
	if (rc < 0) {
		warn_msg("%s: %s", path, strerror(-rc));
		k->failed = true;
	} else {
		printf("%s %s\n", k->only_print ? "would make" : "made", folder);
	}
}

/* Does the file include what is in the folder? Jails there know nothing of what it says, else. */
static bool includes_folder(void)
{
	autofree char *path = files_path(cmd_root, "/etc/jail.conf"), *text = NULL;
	size_t len;
	return file_read(path, &text, &len) == 0 && strstr(text, "/etc/jail.conf.d/");
}

static void put_files(struct init *k, bool range_there)
{
	autofree char *rc = rc_text(k), *jail = jail_text(k);
	putchar('\n');
	put_folder(k, "/etc", 0755);
	put_folder(k, "/etc/jail.conf.d", 0755);
	put_folder(k, "/var/jails", 0700);
	put_folder(k, "/var/log", 0755);
	put_file(k, "/etc/rc.conf", rc, range_there ? NULL : rc + strlen(RC_HEAD));
	put_file(k, "/etc/jail.conf", jail,
		 includes_folder() ? NULL : ".include \"/etc/jail.conf.d/*.conf\";");
}

static void print_next(const struct init *k)
{
	if (k->failed || k->only_print)
		return;
	puts("\nnext:\n"
	     "    newgate doctor                               # is the host fit for jails?");
	if (k->wrote)
		puts(
		    "    newgate template create base --from busybox  # or --from debian:bookworm\n"
		    "    newgate create web template=base\n"
		    "    jail -c web\n"
		    "    jexec web /bin/sh");
	else
		puts("    newgate check                                # is all of it right?\n"
		     "    newgate up -n                                # what would be done?");
	if (access("/run/systemd/system", F_OK) == 0)
		puts(
		    "    systemctl enable newgate                     # jails start with the host");
}

/* ---- the verb ---- */

static bool open_host(struct init *k)
{
	autodone(diags_done) struct diags d = {0};
	autofree char *path = files_path(cmd_root, "/etc/rc.conf");
	struct ng_err err = {0};

	if (rcconf_read(&k->rc, path, &d) < 0 || !tell_diags(&d, false))
		return false;
	if (state_open(&k->state, cmd_root, &err) == 0 &&
	    net_open(&k->net, &k->state, &k->rc, &err) == 0)
		return true;
	warn_msg("%s", err.text);
	return false;
}

/* What new trees are to be kept as. */
static bool choose_store(const struct init *k, const char *how)
{
	autodone(store_done) struct store store = {0};
	struct ng_err err = {0};

	if (k->only_print) {
		printf("store:    would be %s\n", how);
		return true;
	}
	if (store_open(&store, cmd_root, &err) == 0 && store_choose(&store, how, &err) == 0) {
		printf("store:    %s\n", how);
		return true;
	}
	warn_msg("--store: %s", err.text);
	return false;
}

static int write_files(struct init *k)
{
	if (!open_host(k))
		return 1;
	print_outside(k);
	print_networks(k);
	bool there = have_range(k);
	if (!there && !choose_range(k))
		return 1;
	put_files(k, there);
	return k->failed;
}

int init_first_files(void)
{
	autodone(init_done) struct init k = {.state = {.dir = -1}};

	return write_files(&k);
}

static int init_run(int argc, char **argv)
{
	static const struct option longs[] = {{"store", required_argument, NULL, 's'}, {0}};
	autodone(init_done) struct init k = {.state = {.dir = -1}};
	const char *store = NULL;

	for (int opt = 0; (opt = getopt_long(argc, argv, "+n", longs, NULL)) != -1;) {
		if (opt == 's')
			store = optarg;
		else if (opt == 'n')
			k.only_print = true;
		else
			return usage(&cmd_init);
	}
	if (optind != argc)
		return usage(&cmd_init);
	if (store && !choose_store(&k, store))
		return 1;
	int status = write_files(&k);
	if (status == 0)
		print_next(&k);
	return status;
}

const struct cmd cmd_init = {
    .name = "init",
    .run = init_run,
    .args = "[-n] [--store zfs[:DATASET] | btrfs | overlay | dir]",
    .summary = "writes the first files, made to fit this host",
    .help =
	"Looks at the host's interfaces, addresses and routes, chooses a private network for\n"
	"jails that nothing else uses, and writes /etc/rc.conf and /etc/jail.conf, with comments.\n"
	"A file that is there stays as it is; what it lacks is told.\n"
	"\n"
	"  -n       only tell\n"
	"  --store  what trees of jails are to be kept as (newgate-store(8)); else the file\n"
	"           systems decide\n",
};
