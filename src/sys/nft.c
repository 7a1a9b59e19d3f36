#include "sys/nft.h"

#include <arpa/inet.h>
#include <assert.h>
#include <endian.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include "sys/fd.h"
#include "sys/modules.h"
#include "sys/nlread.h"

#define NFT_PROGRAM "/usr/sbin/nft"

/* Elements */

static void append(uint8_t *to, unsigned *len, const void *field, unsigned n)
{
	unsigned padded = (n + 3) & ~3U;
	assert(*len + padded <= sizeof(((struct nft_elem *)0)->key));
	memcpy(to + *len, field, n);
	memset(to + *len + n, 0, padded - n);
	*len += padded;
}

void nft_key(struct nft_elem *e, const void *field, unsigned len)
{
	append(e->key, &e->keylen, field, len);
	e->fields++;
}

void nft_key_end(struct nft_elem *e, const void *field, unsigned len)
{
	append(e->key_end, &e->key_endlen, field, len);
}

void nft_data(struct nft_elem *e, const void *field, unsigned len)
{
	append(e->data, &e->datalen, field, len);
}

static uint16_t nft_type(uint16_t type)
{
	return (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
}

static void batch_edge(struct nl_batch *b, uint16_t type)
{
	struct nfgenmsg head = {.version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES)};
	nl_message(b, type, 0, &head, sizeof head);
}

void nft_begin(struct nl_batch *b)
{
	nl_begin(b);
	batch_edge(b, NFNL_MSG_BATCH_BEGIN);
}

static void value(struct nl_batch *b, uint16_t type, const uint8_t *data, unsigned len)
{
	size_t nest = nl_nest(b, type);
	nl_attr(b, NFTA_DATA_VALUE, data, len);
	nl_nest_end(b, nest);
}

/* What comes behind `last`; false where nothing does. */
static bool successor(const uint8_t *last, unsigned len, uint8_t *out)
{
	memcpy(out, last, len);
	while (len > 0)
		if (++out[--len])
			return true;
	return false;
}

/* An interval of a single field is a tree's: two elements, its first value and, marked as an end,
 * the one behind its last. In concatenations one element carries both. */
static void interval_end(struct nl_batch *b, const struct nft_elem *e)
{
	uint8_t behind[sizeof e->key_end];
	if (!successor(e->key_end, e->key_endlen, behind))
		return;
	size_t elem = nl_nest(b, NFTA_LIST_ELEM);
	value(b, NFTA_SET_ELEM_KEY, behind, e->key_endlen);
	nl_attr_u32(b, NFTA_SET_ELEM_FLAGS, htonl(NFT_SET_ELEM_INTERVAL_END));
	nl_nest_end(b, elem);
}

static void element(struct nl_batch *b, uint16_t type, uint16_t flags, const struct nft_elem *e)
{
	bool pair = e->key_endlen && e->fields == 1;
	struct nfgenmsg head = {.nfgen_family = NFPROTO_INET, .version = NFNETLINK_V0};
	nl_message(b, nft_type(type), flags, &head, sizeof head);
	nl_attr_str(b, NFTA_SET_ELEM_LIST_TABLE, NFT_TABLE);
	nl_attr_str(b, NFTA_SET_ELEM_LIST_SET, e->set);
	size_t list = nl_nest(b, NFTA_SET_ELEM_LIST_ELEMENTS);
	size_t elem = nl_nest(b, NFTA_LIST_ELEM);
	value(b, NFTA_SET_ELEM_KEY, e->key, e->keylen);
	if (e->key_endlen && !pair)
		value(b, NFTA_SET_ELEM_KEY_END, e->key_end, e->key_endlen);
	if (e->datalen)
		value(b, NFTA_SET_ELEM_DATA, e->data, e->datalen);
	if (e->expires)
		nl_attr(b, NFTA_SET_ELEM_TIMEOUT, &(uint64_t){htobe64(e->expires)},
			sizeof(uint64_t));
	nl_nest_end(b, elem);
	if (pair)
		interval_end(b, e);
	nl_nest_end(b, list);
}

void nft_add(struct nl_batch *b, const struct nft_elem *e)
{
	element(b, NFT_MSG_NEWSETELEM, NLM_F_CREATE, e);
}

void nft_delete(struct nl_batch *b, const struct nft_elem *e)
{
	element(b, NFT_MSG_DELSETELEM, 0, e);
}

void nft_flush(struct nl_batch *b, const char *set)
{
	struct nfgenmsg head = {.nfgen_family = NFPROTO_INET, .version = NFNETLINK_V0};
	nl_message(b, nft_type(NFT_MSG_DELSETELEM), 0, &head, sizeof head);
	nl_attr_str(b, NFTA_SET_ELEM_LIST_TABLE, NFT_TABLE);
	nl_attr_str(b, NFTA_SET_ELEM_LIST_SET, set);
}

int nft_commit(struct nl *nl, struct nl_batch *b, struct ng_err *err)
{
	if (!b->msg || (char *)b->msg == b->buf) /* nothing but the opening */
		return 0;
	/* The kernel never acknowledges the closing message, so the last operation stays the one
	 * that is to be. */
	size_t last = (size_t)((char *)b->msg - b->buf);
	batch_edge(b, NFNL_MSG_BATCH_END);
	b->msg = (struct nlmsghdr *)(void *)(b->buf + last);
	return nl_send(nl, b, NULL, err);
}

/* The fingerprint */

/* User data are {type, length, value}; the comment's type is 0 and its text ends in NUL. */
void nft_parse_comment(const void *userdata, size_t len, char *buf, size_t size)
{
	const uint8_t *p = userdata;
	buf[0] = '\0';
	while (len >= 2 && len - 2 >= p[1]) {
		if (p[0] == 0) {
			size_t n = strnlen((const char *)p + 2, p[1]);
			n = n < size ? n : size - 1;
			memcpy(buf, p + 2, n);
			buf[n] = '\0';
			return;
		}
		len -= 2U + p[1];
		p += 2 + p[1];
	}
}

struct text {
	char *buf;
	size_t size;
};

static int take_comment(const struct nlmsghdr *h, void *arg)
{
	struct text *t = arg;
	const struct nlattr *tb[NFTA_TABLE_MAX + 1];
	const void *rest;
	size_t len;
	if (h->nlmsg_type != nft_type(NFT_MSG_NEWTABLE) ||
	    !nlread_head(h, sizeof(struct nfgenmsg), &rest, &len))
		return -EBADMSG;
	nlread_attrs(rest, len, tb, NFTA_TABLE_MAX);
	const void *data = nlread_bytes(tb[NFTA_TABLE_USERDATA], 1, &len);
	if (data)
		nft_parse_comment(data, len, t->buf, t->size);
	return 0;
}

int nft_fingerprint(struct nl *nl, char *buf, size_t size, struct ng_err *err)
{
	autodone(nl_batch_done) struct nl_batch b = {0};
	struct nfgenmsg head = {.nfgen_family = NFPROTO_INET, .version = NFNETLINK_V0};
	struct text t = {buf, size};
	buf[0] = '\0';
	nl_begin(&b);
	nl_message(&b, nft_type(NFT_MSG_GETTABLE), 0, &head, sizeof head);
	nl_attr_str(&b, NFTA_TABLE_NAME, NFT_TABLE);
	return nl_query(nl, &b, take_comment, &t, err);
}

/* Whole rulesets */

static int spawn_nft(int input, int complaint, pid_t *pid)
{
	static char *const argv[] = {"nft", "-f", "-", NULL};
	static char *const env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", NULL};
	posix_spawn_file_actions_t act;
	int r = posix_spawn_file_actions_init(&act);
	if (r)
		return -r;
	r = posix_spawn_file_actions_adddup2(&act, input, 0);
	if (!r)
		r = posix_spawn_file_actions_addopen(&act, 1, "/dev/null", O_WRONLY, 0);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&act, complaint, 2);
	if (!r)
		r = posix_spawn(pid, NFT_PROGRAM, &act, NULL, argv, env);
	if (r == ENOENT)
		r = posix_spawnp(pid, "nft", &act, NULL, argv, env);
	posix_spawn_file_actions_destroy(&act);
	return -r;
}

/* What nft wrote first: where and what, and on the next line (which is indented) the statement. What
 * follows from it is complained of, too. */
static int complain(int fd, struct ng_err *err)
{
	char text[1024], release[65];
	ssize_t n = pread(fd, text, sizeof text - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	char *rest = text + strcspn(text, "\n");
	if (*rest)
		*rest++ = '\0';
	rest += strspn(rest, " \t");
	rest[strcspn(rest, "\n")] = '\0';
	bool gone = (strstr(text, "No such file") || strstr(text, "not supported")) &&
		    modules_gone(release, sizeof release);
	err_set(err, EINVAL, "nft: %s%s%s%s", *text ? text : "ended without saying why",
		*rest ? " in \"" : "", rest, *rest ? "\"" : "");
	return gone ? err_prefix(err,
				 "the modules of the running kernel are gone (there is no "
				 "/lib/modules/%s), reboot into the one that is installed",
				 release)
		    : -EINVAL;
}

int nft_load(const char *ruleset, struct ng_err *err)
{
	/* Files in memory on both sides: whatever is written first, nobody waits for the other. */
	autoclose int input = memfd_create("ruleset", MFD_CLOEXEC);
	autoclose int complaint = memfd_create("complaint", MFD_CLOEXEC);
	if (input < 0 || complaint < 0)
		return err_sys(err, errno, "memfd_create");
	int r = fd_write_all(input, ruleset, strlen(ruleset));
	if (r < 0 || lseek(input, 0, SEEK_SET) < 0)
		return err_sys(err, r < 0 ? r : errno, "memfd");
	pid_t pid;
	r = spawn_nft(input, complaint, &pid);
	if (r == -ENOENT)
		return err_set(err, ENOENT, "there is no %s: install the package nftables",
			       NFT_PROGRAM);
	if (r < 0)
		return err_sys(err, r, "%s", NFT_PROGRAM);
	int status;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(err, errno, "waiting for %s", NFT_PROGRAM);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return complain(complaint, err);
}
