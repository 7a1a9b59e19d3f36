/* newgate host domain, user, alias: the lists that postfix and dovecot go by. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <termios.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "cmd/cmd.h"
#include "cmd/hosting.h"
#include "cmd/storage.h"
#include "host/dkim.h"
#include "host/mailbox.h"

/* Which jails go by which list. */
static const char *const domain_jails[] = {"dkim", "rspamd", "postfix", NULL};
static const char *const user_jails[] = {"dovecot", "postfix", NULL};
static const char *const alias_jails[] = {"postfix", NULL};

/* The address as it is kept; told where it is none, or of no domain of ours. NULL. */
static char *own_address(struct hosting *g, const char *text, bool any)
{
	const char *why;
	char *a = host_address(text, any, &why);

	if (!a) {
		warn_msg("\"%s\" %s", text, why);
		return NULL;
	}
	const char *domain = strchr(a, '@') + 1;
	if (host_entry(&g->l, LIST_DOMAINS, domain) >= 0)
		return a;
	warn_msg("%s: %s is no domain of this host: newgate host domain add %s", a, domain, domain);
	free(a);
	return NULL;
}

/* ---- domain ---- */

static int domain_add(int argc, char **argv)
{
	struct hosting g autodone(hosting_done) = HOSTING_NONE;
	struct ng_err err = {0};
	const char *why;

	if (argc != 2)
		return host_usage();
	autofree char *domain = host_domain(argv[1], &why);
	if (!domain) {
		warn_msg("\"%s\" %s", argv[1], why);
		return 1;
	}
	if (hosting_open(&g, true))
		return 1;
	if (host_entry(&g.l, LIST_DOMAINS, domain) >= 0) {
		warn_msg("%s is a domain of this host already", domain);
		return 1;
	}
	if (dkim_make_key(&g.h, domain, &err) < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	host_set(&g.l, LIST_DOMAINS, domain, domain);
	return hosting_save(&g, LIST_DOMAINS, domain_jails);
}

/* Who still uses the domain, or NULL. The caller frees. */
static char *used_by(const struct hosting *g, const char *domain)
{
	static const enum host_list lists[] = {LIST_USERS, LIST_ALIASES};
	autofree char *key = NULL;
	const char *rest;

	for (size_t k = 0; k < ARRAY_SIZE(lists); k++)
		for (size_t i = 0; host_next(&g->l, lists[k], &i, &key, &rest);)
			if (strcasecmp(strchr(key, '@') ? strchr(key, '@') + 1 : "", domain) == 0)
				return take_ptr(key);
	return NULL;
}

static int domain_remove(int argc, char **argv)
{
	struct hosting g autodone(hosting_done) = HOSTING_NONE;

	if (argc != 2)
		return host_usage();
	if (hosting_open(&g, true))
		return 1;
	int at = host_entry(&g.l, LIST_DOMAINS, argv[1]);
	autofree char *user = used_by(&g, argv[1]);
	if (at < 0) {
		warn_msg("%s is no domain of this host: newgate host domain list", argv[1]);
		return 1;
	}
	if (user) {
		warn_msg("%s still has %s: remove its users and aliases first", argv[1], user);
		return 1;
	}
	/* The key stays: letters that it signed are still to be verified by somebody. */
	host_unset(&g.l, LIST_DOMAINS, at);
	return hosting_save(&g, LIST_DOMAINS, domain_jails);
}

static int domain_list(int argc, char **argv)
{
	return host_list(argc, argv, LIST_DOMAINS, "domains", "domain", "DOMAIN", NULL);
}

int host_domain_verbs(int argc, char **argv)
{
	static const struct host_verb v[] = {
	    {"add", domain_add}, {"remove", domain_remove}, {"list", domain_list}};

	return host_dispatch(v, ARRAY_SIZE(v), "newgate host domain", argc, argv);
}

/* ---- user ---- */

static void wipe(char *s)
{
	if (s)
		explicit_bzero(s, strlen(s));
	free(s);
}

/* One line of standard input, without the newline. On a terminal nothing is echoed. NULL: none. */
static char *read_secret(const char *prompt)
{
	bool terminal = isatty(STDIN_FILENO);
	struct termios was, silent;
	char *line = NULL;
	size_t size = 0;

	if (terminal) {
		fputs(prompt, stderr);
		tcgetattr(STDIN_FILENO, &was);
		silent = was;
		silent.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
	}
	ssize_t n = getline(&line, &size, stdin);
	if (terminal) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &was);
		fputc('\n', stderr);
	}
	if (n > 0 && line[n - 1] == '\n')
		line[--n] = '\0';
	if (n > 0)
		return line;
	wipe(line);
	return NULL;
}

/* A new password's hash, as dovecot's own tool makes it; NULL where there is none: told. */
static char *new_hash(struct hosting *g, const char *address)
{
	static const char *const argv[] = {"doveadm", "pw", "-s", "ARGON2ID", NULL};
	struct str prompt autodone(str_done) = {0}, twice = {0}, out autodone(str_done) = {0};
	struct ng_err err = {0};
	char *hash = NULL;

	str_addf(&prompt, "Password of %s: ", address);
	char *secret = read_secret(prompt.s);
	char *again = secret && isatty(STDIN_FILENO) ? read_secret("The same again: ") : NULL;
	if (!secret) {
		warn_msg("no password was given: it is read from the terminal or standard input");
	} else if (isatty(STDIN_FILENO) && (!again || !str_eq(secret, again))) {
		warn_msg("the two differ: nothing was changed");
	} else {
		str_addf(&twice, "%s\n%s\n", secret, secret);
		int rc = inside_do(&g->state, "dovecot", argv, twice.s, &out, &err);
		char *found = rc == 0 ? strstr(str_text(&out), "{ARGON2ID}") : NULL;

		if (found)
			hash = mem_strndup(found, strcspn(found, "\r\n"));
		else
			warn_msg("%s", rc < 0 ? err.text : "doveadm gave no hash");
		wipe(str_take(&twice));
	}
	wipe(secret);
	wipe(again);
	return hash;
}

static bool good_quota(const char *text)
{
	uint64_t bytes;

	if (num_size(text, &bytes) == 0 && bytes >= 1 << 20)
		return true;
	warn_msg("--quota %s: a size of at least 1M, such as 500M or 2G", text);
	return false;
}

static int user_add(int argc, char **argv)
{
	static const struct option longs[] = {{"quota", required_argument, NULL, 'q'}, {0}};
	struct hosting g autodone(hosting_done) = HOSTING_NONE;
	const char *quota = NULL;

	for (int opt; (opt = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		if (opt != 'q')
			return host_usage();
		quota = optarg;
	}
	if (optind + 1 != argc)
		return host_usage();
	if ((quota && !good_quota(quota)) || hosting_open(&g, true))
		return 1;
	autofree char *address = own_address(&g, argv[optind], false);
	if (!address)
		return 1;
	if (host_entry(&g.l, LIST_USERS, address) >= 0) {
		warn_msg("%s is a user already: newgate host user passwd %s", address, address);
		return 1;
	}
	if (host_entry(&g.l, LIST_ALIASES, address) >= 0) {
		warn_msg("%s is an alias: newgate host alias remove %s", address, address);
		return 1;
	}
	autofree char *hash = new_hash(&g, address);
	if (!hash)
		return 1;
	autofree char *line = host_user_line(address, hash, quota);
	host_set(&g.l, LIST_USERS, address, line);
	if (hosting_save(&g, LIST_USERS, user_jails))
		return 1;
	autofree char *path = mailbox_path(address);
	if (mailbox_exists(&g.h, address))
		warn_msg("there is mail of an earlier %s, which this one gets: %s", address, path);
	return 0;
}

/* The place of the user's line; told where there is none: -1. */
static int find_user(struct hosting *g, const char *text, char **address)
{
	*address = own_address(g, text, false);
	if (!*address)
		return -1;
	int at = host_entry(&g->l, LIST_USERS, *address);
	if (at < 0)
		warn_msg("there is no user %s: newgate host user list", *address);
	return at;
}

static int user_passwd(int argc, char **argv)
{
	struct hosting g autodone(hosting_done) = HOSTING_NONE;
	autofree char *address = NULL;

	if (argc != 2)
		return host_usage();
	if (hosting_open(&g, true))
		return 1;
	int at = find_user(&g, argv[1], &address);
	if (at < 0)
		return 1;
	autofree char *hash = new_hash(&g, address);
	if (!hash)
		return 1;
	autofree char *line = host_user_changed(g.l.of[LIST_USERS].v[at], hash, NULL);
	host_set(&g.l, LIST_USERS, address, line);
	return hosting_save(&g, LIST_USERS, user_jails);
}

static int user_quota(int argc, char **argv)
{
	struct hosting g autodone(hosting_done) = HOSTING_NONE;
	autofree char *address = NULL;

	if (argc != 3)
		return host_usage();
	if (!good_quota(argv[2]) || hosting_open(&g, true))
		return 1;
	int at = find_user(&g, argv[1], &address);
	if (at < 0)
		return 1;
	autofree char *line = host_user_changed(g.l.of[LIST_USERS].v[at], NULL, argv[2]);
	host_set(&g.l, LIST_USERS, address, line);
	return hosting_save(&g, LIST_USERS, user_jails);
}

/* Before the user is none any more, if the mail is to go too. */
static bool may_go(const char *address, bool asked)
{
	autofree char *path = mailbox_path(address);

	return asked || storage_ask("remove %s and all mail in %s?", address, path);
}

static int remove_mail(const struct hosting *g, const char *address, bool mail)
{
	autofree char *path = mailbox_path(address);
	struct ng_err err = {0};

	if (!mail) {
		printf("%s is no user any more. The mail stays, in %s\n", address, path);
		return 0;
	}
	if (mailbox_remove(&g->h, address, &err) == 0)
		return 0;
	warn_msg("%s", err.text);
	return 1;
}

static int user_remove(int argc, char **argv)
{
	static const struct option longs[] = {{"mail", no_argument, NULL, 'm'}, {0}};
	struct hosting g autodone(hosting_done) = HOSTING_NONE;
	struct ng_err err = {0};
	autofree char *address = NULL;
	bool mail = false, yes = false;

	for (int opt; (opt = getopt_long(argc, argv, "y", longs, NULL)) != -1;) {
		if (opt != 'm' && opt != 'y')
			return host_usage();
		mail |= opt == 'm';
		yes |= opt == 'y';
	}
	if (optind + 1 != argc)
		return host_usage();
	if (hosting_open(&g, true))
		return 1;
	int at = find_user(&g, argv[optind], &address);
	if (at < 0 || (mail && !may_go(address, yes)))
		return 1;
	host_unset(&g.l, LIST_USERS, at);
	if (hosting_save(&g, LIST_USERS, user_jails))
		return 1;
	if (mailbox_kick(&g.state, address, &err) < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	return remove_mail(&g, address, mail);
}

static void add_quota(const struct hosting *g, struct output *o, const char *rest)
{
	autofree char *hash = NULL, *quota = NULL;

	host_user_parse(rest, &hash, &quota);
	output_str(o, "quota", "QUOTA", quota ? quota : g->h.quota);
}

static int user_list(int argc, char **argv)
{
	return host_list(argc, argv, LIST_USERS, "users", "user", "USER", add_quota);
}

int host_user_verbs(int argc, char **argv)
{
	static const struct host_verb v[] = {{"add", user_add},
					     {"passwd", user_passwd},
					     {"quota", user_quota},
					     {"remove", user_remove},
					     {"list", user_list}};

	return host_dispatch(v, ARRAY_SIZE(v), "newgate host user", argc, argv);
}

/* ---- alias ---- */

static int alias_add(int argc, char **argv)
{
	struct hosting g autodone(hosting_done) = HOSTING_NONE;
	struct str line autodone(str_done) = {0};
	const char *why;

	if (argc < 3)
		return host_usage();
	if (hosting_open(&g, true))
		return 1;
	autofree char *address = own_address(&g, argv[1], true);
	if (!address)
		return 1;
	if (host_entry(&g.l, LIST_USERS, address) >= 0) {
		warn_msg("%s is a user: mail for a user is not led elsewhere", address);
		return 1;
	}
	str_addf(&line, "%s ", address);
	for (int i = 2; i < argc; i++) {
		autofree char *target = host_address(argv[i], false, &why);

		if (!target) {
			warn_msg("\"%s\" %s", argv[i], why);
			return 1;
		}
		str_addf(&line, "%s%s", i > 2 ? ", " : "", target);
	}
	host_set(&g.l, LIST_ALIASES, address, line.s);
	return hosting_save(&g, LIST_ALIASES, alias_jails);
}

static int alias_remove(int argc, char **argv)
{
	struct hosting g autodone(hosting_done) = HOSTING_NONE;

	if (argc != 2)
		return host_usage();
	if (hosting_open(&g, true))
		return 1;
	int at = host_entry(&g.l, LIST_ALIASES, argv[1]);
	if (at < 0) {
		warn_msg("there is no alias %s: newgate host alias list", argv[1]);
		return 1;
	}
	host_unset(&g.l, LIST_ALIASES, at);
	return hosting_save(&g, LIST_ALIASES, alias_jails);
}

static void add_targets(const struct hosting *g UNUSED, struct output *o, const char *rest)
{
	struct strv targets autodone(strv_done) = {0};

	strv_split(&targets, rest, ", \t");
	output_list(o, "targets", "TARGETS", (const char *const *)targets.v, targets.n);
}

static int alias_list(int argc, char **argv)
{
	return host_list(argc, argv, LIST_ALIASES, "aliases", "alias", "ALIAS", add_targets);
}

int host_alias_verbs(int argc, char **argv)
{
	static const struct host_verb v[] = {
	    {"add", alias_add}, {"remove", alias_remove}, {"list", alias_list}};

	return host_dispatch(v, ARRAY_SIZE(v), "newgate host alias", argc, argv);
}
