#include "host/banning.h"

#include "conf/files.h"

void banning_done(struct banning *b)
{
	bans_done(&b->bans);
	if (b->net.state)
		net_done(&b->net);
	rcconf_done(&b->rc);
	host_settings_done(&b->host);
}

static int open_net(struct banning *b, struct state *s, struct ng_err *err)
{
	autofree char *path = files_path(s->root, "/etc/rc.conf");
	struct diags unread autodone(diags_done) = {0};

	/* What is wrong in it is told where it matters. */
	(void)!rcconf_read(&b->rc, path, &unread);
	return net_open(&b->net, s, &b->rc, err);
}

int banning_open(struct banning *b, struct state *s, bool change, struct ng_err *err)
{
	struct ng_err none = {0};
	int rc = host_settings_read(&b->host, s->root, &none);

	/* Bans serve whoever has jails. */
	if (rc < 0 && rc != -ENOENT) {
		*err = none;
		return rc;
	}
	rc = host_ban_terms(b->host.ban, &b->terms, err);
	if (rc == 0 && change)
		rc = open_net(b, s, err);
	return rc < 0 ? rc : bans_open(&b->bans, s, err);
}
