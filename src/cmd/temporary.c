#include "cmd/temporary.h"

#include "base/num.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/progress.h"
#include "jail/freeze.h"
#include "sys/fd.h"

#define PREFIX "temporary." /* "temporary.PID.STARTED" */

static bool told(const struct ng_err *err)
{
	warn_msg("%s", err->text);
	return false;
}

bool temporary_look(struct storage *s, const char *jail, int *lock, struct record *r)
{
	struct ng_err err = {0};

	*lock = state_lock(&s->state, jail, &err);
	int rc = *lock < 0 ? *lock : state_find(&s->state, jail, r, &err);
	if (rc == 0 && (r->dead || !str_eq(r->name, jail)))
		record_done(r);
	return rc == 0 || rc == -ENOENT ? storage_heal(s, jail) : told(&err);
}

bool temporary_snapshot(struct storage *s, const char *jail, const char *name,
			const struct record *r)
{
	autodone(freeze_end) struct freeze still = FREEZE_NONE;
	struct ng_err err = {0};
	int rc = 0;

	/* One of the file system is taken in one instant, a copy takes a while. */
	if (r->name && store_copies(&s->store, jail))
		rc = freeze_begin(&s->state, r, &still, &err);
	if (rc == 0 || rc == -ENOENT)
		rc = store_snapshot(&s->store, jail, name, &err);
	progress_end();
	return rc == 0 || told(&err);
}

/* Does the process live that a temporary snapshot was taken by? */
static bool is_used(const char *name)
{
	autodone(strv_done) struct strv word = {0};
	uint64_t started, now;
	uint32_t pid;

	strv_split(&word, name + strlen(PREFIX), ".");
	return word.n == 2 && num_u32(word.v[0], 1, INT32_MAX, &pid) == 0 &&
	       num_u64(word.v[1], 0, UINT64_MAX, &started) == 0 &&
	       pid_start_time((pid_t)pid, &now) == 0 && now == started;
}

/* What a killed run left. */
static void sweep(struct storage *s, const char *jail)
{
	struct store_snapshot *v = NULL;
	struct ng_err err = {0};
	size_t n = 0;

	if (store_snapshots(&s->store, jail, &v, &n, &err) < 0)
		return;
	for (size_t i = 0; i < n; i++)
		if (str_prefix(v[i].name, PREFIX) && !is_used(v[i].name) &&
		    store_snapshot_destroy(&s->store, jail, v[i].name, &err) < 0)
			warn_msg("%s", err.text);
	store_snapshots_free(v, n);
}

char *temporary_take(struct storage *s, const char *jail, const struct record *r)
{
	struct str name = {0};
	uint64_t started = 0;

	if (pid_start_time(getpid(), &started) < 0)
		started = 0;
	sweep(s, jail);
	str_addf(&name, PREFIX "%d.%llu", getpid(), (unsigned long long)started);
	if (temporary_snapshot(s, jail, name.s, r))
		return str_take(&name);
	str_done(&name);
	return NULL;
}

bool temporary_drop(struct storage *s, const char *jail, const char *name)
{
	struct ng_err err = {0};

	return store_snapshot_destroy(&s->store, jail, name, &err) == 0 || told(&err);
}
