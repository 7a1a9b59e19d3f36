/* newgate-archive.so: what layer-module.h describes. One archive of libarchive's is the decompressor
 * alone; what comes out of it is summed on its way to the other, which takes it for tar. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "store/archive-reader.h"
#include "store/layer-module.h"

#define ROOM 65536

struct layer {
	int fd;
	bool ended;
	struct archive *plain;
	void *tar;
	struct archive_pieces pieces;
	struct sha256_ctx stored_sum, plain_sum;
	char in[ROOM], out[ROOM];
	char fault[512];
};

static la_ssize_t read_stored(struct archive *a, void *arg, const void **piece)
{
	struct layer *l = arg;
	ssize_t n;

	do
		n = read(l->fd, l->in, sizeof(l->in));
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		archive_set_error(a, errno, "%s", strerror(errno));
		return -1;
	}
	sha256_update(&l->stored_sum, (size_t)n, (const uint8_t *)l->in);
	*piece = l->in;
	return n;
}

static ssize_t read_plain(void *arg, const void **piece)
{
	struct layer *l = arg;
	la_ssize_t n = l->ended ? 0 : archive_read_data(l->plain, l->out, sizeof(l->out));

	if (n < 0) {
		const char *text = archive_error_string(l->plain);
		snprintf(l->fault, sizeof(l->fault), "%s", text ? text : "it cannot be read");
		return -1;
	}
	sha256_update(&l->plain_sum, (size_t)n, (const uint8_t *)l->out);
	*piece = l->out;
	return n;
}

static void layer_close(void *p)
{
	struct layer *l = p;

	if (l->tar)
		newgate_archive.close(l->tar);
	if (l->plain)
		archive_read_free(l->plain);
	free(l);
}

static bool begin(struct layer *l)
{
	struct archive_entry *whole;

	sha256_init(&l->stored_sum);
	sha256_init(&l->plain_sum);
	l->plain = archive_read_new();
	if (!l->plain)
		return false;
	archive_read_support_filter_gzip(l->plain);
	archive_read_support_filter_bzip2(l->plain);
	archive_read_support_filter_xz(l->plain);
	archive_read_support_filter_zstd(l->plain);
	archive_read_support_format_raw(l->plain);
	archive_read_support_format_empty(l->plain);
	l->pieces = (struct archive_pieces){.read = read_plain, .arg = l, .fault = l->fault};
	/* A failure is told by the first read. */
	if (archive_read_open(l->plain, l, NULL, read_stored, NULL) == ARCHIVE_OK)
		l->ended = archive_read_next_header(l->plain, &whole) == ARCHIVE_EOF;
	l->tar = archive_open_pieces(&l->pieces);
	return l->tar;
}

static void *layer_open(int fd, void **archive)
{
	struct layer *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->fd = fd;
	if (!begin(l)) {
		layer_close(l);
		return NULL;
	}
	*archive = l->tar;
	return l;
}

static void hex_of(struct sha256_ctx *sum, char hex[static LAYER_SUM_HEX])
{
	uint8_t digest[SHA256_DIGEST_SIZE];

	sha256_digest(sum, sizeof(digest), digest);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

/* What follows the archive's end, such as padding, belongs to the sums. */
static int layer_sums(void *p, char stored[static LAYER_SUM_HEX], char plain[static LAYER_SUM_HEX])
{
	struct layer *l = p;
	const void *piece;
	ssize_t n;

	while ((n = read_plain(l, &piece)) > 0)
		;
	while (n == 0 && (n = read_stored(l->plain, l, &piece)) > 0)
		n = 0;
	if (n < 0) {
		if (!*l->fault)
			snprintf(l->fault, sizeof(l->fault), "%s", archive_error_string(l->plain));
		return -1;
	}
	hex_of(&l->stored_sum, stored);
	hex_of(&l->plain_sum, plain);
	return 0;
}

static const char *layer_fault(void *p)
{
	struct layer *l = p;

	return l->fault;
}

extern const struct layer_module newgate_layer;
const struct layer_module newgate_layer = {
    .open = layer_open,
    .sums = layer_sums,
    .fault = layer_fault,
    .close = layer_close,
};
