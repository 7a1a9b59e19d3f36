#include "host/tally.h"

#include <string.h>
#include <sys/random.h>
#include "base/mem.h"

#define WAYS 8

struct entry {
	struct ip addr; /* family 0: free */
	unsigned n;
	int64_t when[HOST_BAN_FAILURES]; /* the last n, in order */
};
struct tally {
	uint64_t key;
	struct entry bucket[TALLY_ADDRESSES / WAYS][WAYS];
};

struct tally *tally_new(void)
{
	struct tally *t = mem_alloc(sizeof *t);

	if (getrandom(&t->key, sizeof t->key, GRND_NONBLOCK) < 0)
		t->key = (uint64_t)(uintptr_t)t;
	return t;
}

/* FNV-1a from a start that nobody knows; its high bits are the better mixed. */
static struct entry *bucket(struct tally *t, const struct ip *addr)
{
	uint64_t h = t->key;

	for (unsigned i = 0; i < ip_size(addr); i++)
		h = (h ^ addr->bytes[i]) * UINT64_C(0x100000001b3);
	return t->bucket[(h ^ h >> 32) % ARRAY_SIZE(t->bucket)];
}

static int64_t last(const struct entry *e)
{
	return e->n ? e->when[e->n - 1] : INT64_MIN;
}

/* The address's own, else the one that was heard of least recently, made its own. */
static struct entry *find(struct tally *t, const struct ip *addr)
{
	struct entry *b = bucket(t, addr), *oldest = b;

	for (size_t i = 0; i < WAYS; i++) {
		if (ip_eq(&b[i].addr, addr))
			return &b[i];
		if (last(&b[i]) < last(oldest))
			oldest = &b[i];
	}
	*oldest = (struct entry){.addr = *addr};
	return oldest;
}

bool tally_add(struct tally *t, const struct ipnet *net, int64_t now, const struct host_ban *terms)
{
	struct entry *e = find(t, &net->addr);
	unsigned old = 0;

	while (old < e->n && e->when[old] <= now - (int64_t)terms->within)
		old++;
	/* Fewer may have come to count meanwhile. */
	if (e->n - old >= terms->failures)
		old = e->n - terms->failures + 1;
	memmove(e->when, e->when + old, (e->n - old) * sizeof *e->when);
	e->n -= old;
	e->when[e->n++] = now;
	if (e->n < terms->failures)
		return false;
	e->n = 0;
	return true;
}
