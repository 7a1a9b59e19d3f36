#include "host/mailbox.h"

#include <fcntl.h>
#include <unistd.h>
#include "base/mem.h"
#include "sys/path.h"

#define VMAIL HOST_DATA "/dovecot/vmail"

char *mailbox_path(const char *address)
{
	const char *at = strchr(address, '@');
	struct str path = {0};

	str_addf(&path, VMAIL "/%s/%.*s", at + 1, (int)(at - address), address);
	return str_take(&path);
}

bool mailbox_exists(const struct host *h, const char *address)
{
	autofree char *below = mailbox_path(address), *path = host_path(h, "%s", below);

	return access(path, F_OK) == 0;
}

/* What is there dovecot's jail wrote: none of its links is followed. */
int mailbox_remove(const struct host *h, const char *address, struct ng_err *err)
{
	autofree char *top = host_path(h, VMAIL), *path = mailbox_path(address);
	const char *at = strchr(address, '@');
	autofree char *name = mem_strndup(address, (size_t)(at - address));
	autoclose int vmail = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autoclose int domain =
	    vmail < 0 ? -errno : path_open_nolink(vmail, at + 1, O_RDONLY | O_DIRECTORY, 0);
	int rc = domain < 0 ? domain : path_remove_tree(domain, name);

	return rc < 0 && rc != -ENOENT ? err_sys(err, rc, "%s", path) : 0;
}

int mailbox_kick(struct state *s, const char *address, struct ng_err *err)
{
	const char *const argv[] = {"/etc/host/kick", address, NULL};

	return inside_runs(s, "dovecot") ? inside_do(s, "dovecot", argv, NULL, NULL, err) : 0;
}
