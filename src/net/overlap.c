/* Intervals of several fields, as boxes: what several values of one jail permit may overlap, which
 * the kernel's sets do not take. Of each two that do, the later one is cut into the parts that the
 * earlier one does not cover. */
#include "base/mem.h"
#include "net/elem.h"

struct boxes {
	struct nft_elem *v;
	size_t n;
};

static void push(struct boxes *b, const struct nft_elem *e)
{
	b->v = mem_grow(b->v, b->n, sizeof(*b->v));
	b->v[b->n++] = *e;
}

/* Big-endian numbers, one up and one down. */
static void increase(uint8_t *p, unsigned size)
{
	while (size-- > 0 && ++p[size] == 0)
		;
}

static void decrease(uint8_t *p, unsigned size)
{
	while (size-- > 0 && p[size]-- == 0)
		;
}

static bool overlap(const struct nft_elem *a, const struct nft_elem *b)
{
	unsigned size[4], at = 0, n = elem_fields(a, size);
	if (!str_eq(a->set, b->set))
		return false;
	for (unsigned i = 0; i < n; i++) {
		if (memcmp(a->key + at, b->key_end + at, size[i]) > 0 ||
		    memcmp(b->key + at, a->key_end + at, size[i]) > 0)
			return false;
		at += (size[i] + 3) & ~3U;
	}
	return true;
}

/* What `box` has and `hole`, which overlaps it, has not: field by field what is below the hole and
 * above it goes to out, and the rest is looked at by the next field. */
static void subtract(struct nft_elem box, const struct nft_elem *hole, struct boxes *out)
{
	unsigned size[4], at = 0, n = elem_fields(&box, size);
	for (unsigned i = 0; i < n; i++) {
		uint8_t *low = box.key + at, *high = box.key_end + at;
		if (memcmp(low, hole->key + at, size[i]) < 0) {
			struct nft_elem below = box;
			memcpy(below.key_end + at, hole->key + at, size[i]);
			decrease(below.key_end + at, size[i]);
			push(out, &below);
			memcpy(low, hole->key + at, size[i]);
		}
		if (memcmp(high, hole->key_end + at, size[i]) > 0) {
			struct nft_elem above = box;
			memcpy(above.key + at, hole->key_end + at, size[i]);
			increase(above.key + at, size[i]);
			push(out, &above);
			memcpy(high, hole->key_end + at, size[i]);
		}
		at += (size[i] + 3) & ~3U;
	}
}

/* The parts of one that none of those in `done` covers. */
static void part(const struct nft_elem *e, const struct boxes *done, struct boxes *out)
{
	struct boxes left = {0};
	push(&left, e);
	for (size_t i = 0; i < done->n; i++) {
		struct boxes next = {0};
		for (size_t k = 0; k < left.n; k++) {
			if (overlap(&left.v[k], &done->v[i]))
				subtract(left.v[k], &done->v[i], &next);
			else
				push(&next, &left.v[k]);
		}
		free(left.v);
		left = next;
	}
	for (size_t i = 0; i < left.n; i++)
		push(out, &left.v[i]);
	free(left.v);
}

static bool is_interval(const char *line, struct nft_elem *e)
{
	return str_prefix(line, ELEM_UNDO) && elem_parse(line + strlen(ELEM_UNDO), e) == 0 &&
	       e->key_endlen;
}

static bool any_overlaps(const struct boxes *b)
{
	for (size_t i = 0; i < b->n; i++)
		for (size_t k = 0; k < i; k++)
			if (overlap(&b->v[i], &b->v[k]))
				return true;
	return false;
}

void elem_part(struct strv *lines)
{
	struct boxes all = {0}, done = {0};
	struct strv out = {0};
	struct nft_elem e;
	for (size_t i = 0; i < lines->n; i++)
		if (is_interval(lines->v[i], &e))
			push(&all, &e);
	if (any_overlaps(&all)) {
		for (size_t i = 0; i < all.n; i++)
			part(&all.v[i], &done, &done);
		for (size_t i = 0; i < lines->n; i++)
			if (!is_interval(lines->v[i], &e))
				strv_add(&out, lines->v[i]);
		for (size_t i = 0; i < done.n; i++) {
			struct str b = {0};
			str_add(&b, ELEM_UNDO);
			elem_format(&b, &done.v[i]);
			strv_take(&out, str_take(&b));
		}
		strv_done(lines);
		*lines = out;
	}
	free(all.v);
	free(done.v);
}
