/* newgate host queue: the letters that wait, and what can be done about them. */
#include <stdio.h>
#include <time.h>

#include "cmd/cmd.h"
#include "cmd/hosting.h"
#include "host/queue.h"

static int list(int argc, char **argv)
{
	struct hosting g autodone(hosting_done) = HOSTING_NONE;
	struct queue q autodone(queue_done) = {0};
	struct ng_err err = {0};
	bool json = false;

	if (host_flag(argc, argv, "json", &json))
		return 1;
	if (hosting_open(&g, false))
		return 1;
	if (queue_read(&g.state, &q, &err) < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	if (!json && !q.n)
		puts("no letter waits");
	struct output *o = output_open(stdout, json, "letters");
	for (size_t i = 0; i < q.n; i++) {
		const struct queue_letter *l = &q.v[i];

		output_row(o);
		output_str(o, "id", "ID", l->id);
		output_str(o, "queue", "QUEUE", l->queue);
		if (json)
			output_num(o, "since", "", (uint64_t)l->since);
		else
			output_span(o, "since", "WAITS", time(NULL) - l->since);
		output_bytes(o, "bytes", "SIZE", l->bytes);
		output_str(o, "sender", "FROM", l->sender);
		output_list(o, "recipients", "TO", (const char *const *)l->to.v, l->to.n);
		output_str(o, "reason", "REASON", l->reason);
	}
	return output_close(o) < 0;
}

/* All of the ids are of letters that wait: postsuper(1) says nothing of others. */
static bool all_there(const struct queue *q, char *const *ids, size_t n)
{
	bool there = true;

	for (size_t i = 0; i < n; i++)
		if (!queue_find(q, ids[i])) {
			warn_msg("no letter %s waits: newgate host queue", ids[i]);
			there = false;
		}
	return there;
}

static int act(int argc, char **argv, enum queue_deed deed)
{
	struct hosting g autodone(hosting_done) = HOSTING_NONE;
	struct queue q autodone(queue_done) = {0};
	struct ng_err err = {0};
	size_t n = (size_t)argc - 1;

	if (argc < 2 && deed != QUEUE_FLUSH)
		return host_usage();
	if (hosting_open(&g, false))
		return 1;
	int rc = n ? queue_read(&g.state, &q, &err) : 0;
	if (rc == 0 && !all_there(&q, argv + 1, n))
		return 1;
	if (rc == 0)
		rc = queue_do(&g.state, deed, argv + 1, n, &err);
	if (rc < 0)
		warn_msg("%s", err.text);
	return rc < 0;
}

static int flush_run(int argc, char **argv)
{
	return act(argc, argv, QUEUE_FLUSH);
}

static int hold_run(int argc, char **argv)
{
	return act(argc, argv, QUEUE_HOLD);
}

static int release_run(int argc, char **argv)
{
	return act(argc, argv, QUEUE_RELEASE);
}

static int remove_run(int argc, char **argv)
{
	return act(argc, argv, QUEUE_REMOVE);
}

int host_queue_verbs(int argc, char **argv)
{
	static const struct host_verb v[] = {{"list", list},
					     {"flush", flush_run},
					     {"hold", hold_run},
					     {"release", release_run},
					     {"remove", remove_run}};

	if (argc < 2 || *argv[1] == '-')
		return list(argc, argv);
	return host_dispatch(v, ARRAY_SIZE(v), "newgate host queue", argc, argv);
}
