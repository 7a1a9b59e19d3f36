/* newgate host ban: addresses that may not reach the jails for a time. */
#include <getopt.h>
#include <stdio.h>
#include <time.h>
#include "base/mem.h"
#include "base/num.h"
#include "cmd/cmd.h"
#include "cmd/hosting.h"
#include "host/banning.h"

/* 0, or 1: told. */
static int open_bans(struct banning *g, struct state *s, bool change)
{
	struct ng_err err = {0};

	if (state_open(s, cmd_root, &err) == 0 && banning_open(g, s, change, &err) == 0)
		return 0;
	warn_msg("%s", err.text);
	return 1;
}

static int save(struct banning *g)
{
	struct ng_err err = {0};

	if (bans_save(&g->bans, &g->net, time(NULL), &err) == 0)
		return 0;
	warn_msg("%s", err.text);
	return 1;
}

/* "ADDRESS", or the network that a ban is listed as. */
static bool read_address(const char *text, struct ip *out)
{
	struct ipnet net;

	if (ipnet_parse(text, &net) < 0) {
		warn_msg("\"%s\" is not an address", text);
		return false;
	}
	struct ipnet whole = ban_net(&net.addr);
	if (net.len < whole.len) {
		warn_msg(
		    "%s is more than one address (IPv6: a network of 64 bits), which pf.conf(5) "
		    "can block",
		    text);
		return false;
	}
	*out = net.addr;
	return true;
}

/* Would it cut off who types this? */
static bool is_session(const struct ipnet *net)
{
	const char *from = getenv("SSH_CONNECTION");
	autofree char *text = mem_strndup(from ? from : "", strcspn(from ? from : "", " "));
	struct ip ip;

	return ip_parse(text, &ip) == 0 && ipnet_has(net, &ip);
}

static int may_ban(struct banning *g, const struct ipnet *net)
{
	struct str why autodone(str_done) = {0};
	struct ng_err err = {0};
	char text[IPNET_TEXT];
	int rc = ban_refused(&g->net, net, g->host.ban_except, &why, &err);

	if (rc == 0 && is_session(net)) {
		str_add(&why, "where your SSH session comes from");
		rc = 1;
	}
	if (rc < 0)
		warn_msg("%s", err.text);
	else if (rc)
		warn_msg("%s is not banned: it is %s", ban_text(net, text), str_text(&why));
	return rc;
}

static int ban_add(int argc, char **argv)
{
	static const struct option longs[] = {{"for", required_argument, NULL, 'f'}, {0}};
	struct state s autodone(state_done) = {.dir = -1};
	struct banning g autodone(banning_done) = BANNING_NONE;
	char text[IPNET_TEXT], left[SPAN_TEXT];
	uint32_t seconds = 0;
	struct ip ip;

	for (int opt; (opt = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		if (opt != 'f')
			return host_usage();
		if (num_seconds(optarg, BAN_FOREVER, &seconds) < 0 || !seconds) {
			warn_msg("--for takes a time such as 90s, 10m, 1h, 2d, 1w: not \"%s\"",
				 optarg);
			return 1;
		}
	}
	if (optind + 1 != argc)
		return host_usage();
	if (!read_address(argv[optind], &ip) || open_bans(&g, &s, true))
		return 1;
	struct ipnet net = ban_net(&ip);
	if (may_ban(&g, &net))
		return 1;
	if (!seconds)
		seconds = g.terms.seconds ? g.terms.seconds : 3600;
	const struct ban *one = bans_add(&g.bans, &net, time(NULL), seconds, false, 0, "by hand");
	if (save(&g))
		return 1;
	printf("%s is banned for %s\n", ban_text(&one->net, text), span_text(seconds, left));
	return 0;
}

static int ban_remove(int argc, char **argv)
{
	struct state s autodone(state_done) = {.dir = -1};
	struct banning g autodone(banning_done) = BANNING_NONE;
	struct ip ip;

	if (argc != 2)
		return host_usage();
	if (!read_address(argv[1], &ip) || open_bans(&g, &s, true))
		return 1;
	bool was = bans_remove(&g.bans, &ip, time(NULL));
	if (save(&g))
		return 1;
	if (was)
		printf("%s may come again\n", argv[1]);
	else
		warn_msg("%s is not banned: newgate host ban list", argv[1]);
	return !was;
}

static const char *date(int64_t at, char buf[static 32])
{
	struct tm tm;

	buf[0] = '\0';
	if (localtime_r(&(time_t){at}, &tm))
		strftime(buf, 32, "%Y-%m-%dT%H:%M:%S%z", &tm);
	return buf;
}

static int ban_list(int argc, char **argv)
{
	struct state s autodone(state_done) = {.dir = -1};
	struct banning g autodone(banning_done) = BANNING_NONE;
	int64_t now = time(NULL);
	char text[IPNET_TEXT], when[32];
	bool json = false;

	if (host_flag(argc, argv, "json", &json))
		return 1;
	if (open_bans(&g, &s, false))
		return 1;
	struct output *o = output_open(stdout, json, "bans");
	for (size_t i = 0; i < g.bans.n; i++) {
		const struct ban *one = &g.bans.v[i];

		if (one->until <= now)
			continue;
		output_row(o);
		output_str(o, "address", "ADDRESS", ban_text(&one->net, text));
		if (json)
			output_num(o, "since", "", (uint64_t)one->since);
		else
			output_str(o, "since", "SINCE", date(one->since, when));
		output_span(o, "left", "LEFT", one->until - now);
		output_num(o, "failures", "FAILURES", one->failures);
		output_num(o, "times", "TIMES", one->times);
		output_str(o, "why", "WHY", one->why);
	}
	return output_close(o) < 0;
}

int host_ban_verbs(int argc, char **argv)
{
	static const struct host_verb v[] = {
	    {"add", ban_add}, {"remove", ban_remove}, {"list", ban_list}};

	return host_dispatch(v, ARRAY_SIZE(v), "newgate host ban", argc, argv);
}
