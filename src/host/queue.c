#include "host/queue.h"

#include <stdlib.h>
#include "base/json.h"
#include "base/mem.h"
#include "base/num.h"

/* ---- what waits ---- */

static char *text_or_null(const char *s)
{
	return *s ? mem_strdup(s) : NULL;
}

static uint64_t number(const struct json *o, const char *name)
{
	uint64_t n = 0;

	(void)!num_u64(json_get_text(o, name), 0, INT64_MAX, &n);
	return n;
}

static void add(struct queue *q, const struct json *o)
{
	const struct json *to = json_get(o, "recipients");

	q->v = mem_grow(q->v, q->n, sizeof(*q->v));
	struct queue_letter *l = &q->v[q->n++];
	*l = (struct queue_letter){
	    .id = mem_strdup(json_get_text(o, "queue_id")),
	    .queue = mem_strdup(json_get_text(o, "queue_name")),
	    .sender = text_or_null(json_get_text(o, "sender")),
	    .since = (int64_t)number(o, "arrival_time"),
	    .bytes = number(o, "message_size"),
	};
	q->deferred += str_eq(l->queue, "deferred");
	q->held += str_eq(l->queue, "hold");
	for (const struct json *r = to ? to->first : NULL; r; r = r->next) {
		strv_add(&l->to, json_get_text(r, "address"));
		if (!l->reason)
			l->reason = text_or_null(json_get_text(r, "delay_reason"));
	}
}

static int by_age(const void *a, const void *b)
{
	const struct queue_letter *x = a, *y = b;

	if (x->since != y->since)
		return x->since < y->since ? -1 : 1;
	return strcmp(x->id, y->id);
}

void queue_parse(struct queue *q, const char *text)
{
	for (const char *line = text, *end; *line; line = *end ? end + 1 : end) {
		struct arena arena autodone(arena_done) = {0};
		struct json *o;

		end = line + strcspn(line, "\n");
		if (json_parse(&arena, line, (size_t)(end - line), &o, NULL) == 0 &&
		    *json_get_text(o, "queue_id"))
			add(q, o);
	}
	if (q->n)
		qsort(q->v, q->n, sizeof(*q->v), by_age);
}

int queue_read(struct state *s, struct queue *q, struct ng_err *err)
{
	static const char *const argv[] = {"postqueue", "-j", NULL};
	struct str out autodone(str_done) = {0};
	int rc = inside_do(s, "postfix", argv, NULL, &out, err);

	if (rc == 0)
		queue_parse(q, str_text(&out));
	return rc;
}

void queue_done(struct queue *q)
{
	for (size_t i = 0; i < q->n; i++) {
		struct queue_letter *l = &q->v[i];

		free(l->id);
		free(l->queue);
		free(l->sender);
		free(l->reason);
		strv_done(&l->to);
	}
	free(q->v);
	*q = (struct queue){0};
}

const struct queue_letter *queue_find(const struct queue *q, const char *id)
{
	for (size_t i = 0; i < q->n; i++)
		if (str_eq(q->v[i].id, id))
			return &q->v[i];
	return NULL;
}

/* ---- what is done to it ---- */

static int flush(struct state *s, char *const *ids, size_t n, struct ng_err *err)
{
	static const char *const all[] = {"postqueue", "-f", NULL};
	int rc = n ? 0 : inside_do(s, "postfix", all, NULL, NULL, err);

	for (size_t i = 0; i < n && rc == 0; i++) {
		const char *const one[] = {"postqueue", "-i", ids[i], NULL};

		rc = inside_do(s, "postfix", one, NULL, NULL, err);
	}
	return rc;
}

int queue_do(struct state *s, enum queue_deed deed, char *const *ids, size_t n, struct ng_err *err)
{
	static const char *const option[] = {
	    [QUEUE_HOLD] = "-h", [QUEUE_RELEASE] = "-H", [QUEUE_REMOVE] = "-d"};
	struct str input autodone(str_done) = {0};

	if (deed == QUEUE_FLUSH)
		return flush(s, ids, n, err);
	for (size_t i = 0; i < n; i++)
		str_addf(&input, "%s\n", ids[i]);
	const char *const argv[] = {"postsuper", option[deed], "-", NULL};
	return inside_do(s, "postfix", argv, str_text(&input), NULL, err);
}
