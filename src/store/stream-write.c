/* Streams, written: tar by libarchive, summed, compressed, closed by a block of our own. */
#include <archive.h>
#include <archive_entry.h>
#include <endian.h>
#include <errno.h>
#include <locale.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>
#include "base/macro.h"
#include "store/archive-reader.h"
#include "store/stream-private.h"

#define BLOCK (256 * 1024)
#define HOLE_ROOM (64 * 1024 * 1024) /* zeros at a time; never touched, so no memory */
#define ZSTD_LEVEL 3                 /* as zstd(1) */
#define WORKERS_MAX 4

struct writer {
	int fd;
	struct archive *archive;
	struct archive_entry *entry;
	locale_t plain, before;
	ZSTD_CCtx *zstd; /* NULL: not compressed */
	char *out;       /* of the compressor */
	size_t room;
	struct sha256_ctx sum;
	uint64_t summed, written;
	const struct stream_extent *extent; /* of the entry: the caller's */
	size_t nextents, extent_now;
	int64_t at, size; /* in its contents */
	const char *zeros;
	char fault[512];
};

static int failed(struct writer *w, const char *text)
{
	if (w->fault[0] == '\0')
		snprintf(w->fault, sizeof(w->fault), "%s", text ? text : "it cannot be written");
	return -1;
}

static int put_out(struct writer *w, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(w->fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed(w, strerror(errno));
		data += n;
		len -= (size_t)n;
		w->written += (uint64_t)n;
	}
	return 0;
}

static int compress(struct writer *w, const void *data, size_t len, ZSTD_EndDirective how)
{
	ZSTD_inBuffer in = {data, len, 0};
	size_t left;

	do {
		ZSTD_outBuffer out = {w->out, w->room, 0};
		left = ZSTD_compressStream2(w->zstd, &out, &in, how);
		if (ZSTD_isError(left))
			return failed(w, ZSTD_getErrorName(left));
		if (put_out(w, w->out, out.pos) < 0)
			return -1;
	} while (how == ZSTD_e_end ? left > 0 : in.pos < in.size);
	return 0;
}

static int put_plain(struct writer *w, const void *data, size_t len)
{
	sha256_update(&w->sum, len, data);
	w->summed += len;
	return w->zstd ? compress(w, data, len, ZSTD_e_continue) : put_out(w, data, len);
}

static la_ssize_t take(struct archive *a, void *arg, const void *data, size_t len)
{
	struct writer *w = arg;

	if (put_plain(w, data, len) == 0)
		return (la_ssize_t)len;
	archive_set_error(a, EIO, "%s", w->fault);
	return -1;
}

static bool set_up_zstd(struct writer *w)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	w->zstd = ZSTD_createCCtx();
	w->room = ZSTD_CStreamOutSize();
	w->out = malloc(w->room);
	if (!w->zstd || !w->out)
		return false;
	ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL);
	ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_checksumFlag, 1);
	/* A library without threads refuses this, and compresses all the same. */
	ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_nbWorkers,
			       cpus > WORKERS_MAX ? WORKERS_MAX : (int)cpus);
	return true;
}

static void writer_destroy(void *arg)
{
	struct writer *w = arg;

	if (w->entry)
		archive_entry_free(w->entry);
	if (w->archive) {
		/* What was begun is not to be ended as if it were whole. */
		archive_write_fail(w->archive);
		archive_write_free(w->archive);
	}
	ZSTD_freeCCtx(w->zstd);
	free(w->out);
	if (w->zeros)
		munmap((void *)w->zeros, HOLE_ROOM);
	uselocale(w->before);
	if (w->plain)
		freelocale(w->plain);
	free(w);
}

static bool set_up(struct writer *w, bool zstd)
{
	/* In another locale than this libarchive would write names as UTF-8, which its reader then
	 * puts into a normal form: they would come back as others. Here it keeps every byte. */
	w->plain = newlocale(LC_CTYPE_MASK, "C", (locale_t)0);
	w->before = uselocale(w->plain ? w->plain : LC_GLOBAL_LOCALE);
	sha256_init(&w->sum);
	w->zeros =
	    mmap(NULL, HOLE_ROOM, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (w->zeros == MAP_FAILED)
		w->zeros = NULL;
	w->archive = archive_write_new();
	w->entry = archive_entry_new();
	if (!w->plain || !w->zeros || !w->archive || !w->entry || (zstd && !set_up_zstd(w)))
		return false;
	archive_write_set_format_pax(w->archive);
	/* As GNU tar and star know them; libarchive would add a second form. */
	if (archive_write_set_options(w->archive, "pax:xattrheader=SCHILY") != ARCHIVE_OK)
		return false;
	archive_write_set_bytes_per_block(w->archive, BLOCK);
	archive_write_set_bytes_in_last_block(w->archive, 1);
	return archive_write_open(w->archive, w, NULL, take, NULL) == ARCHIVE_OK;
}

static void *writer_create(int fd, bool zstd)
{
	struct writer *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->fd = fd;
	if (set_up(w, zstd))
		return w;
	writer_destroy(w);
	return NULL;
}

/* An ACL's attribute as entries. */
static void add_acl(struct archive_entry *e, int type, const struct stream_xattr *x)
{
	const struct acl_entry *v = (const void *)((const char *)x->value + sizeof(uint32_t));
	size_t n = x->len < sizeof(uint32_t) ? 0 : (x->len - sizeof(uint32_t)) / sizeof(*v);

	for (size_t i = 0; i < n; i++) {
		struct acl_entry one;
		memcpy(&one, &v[i], sizeof(one));
		for (size_t k = 0; k < ACL_TAGS; k++)
			if (acl_tags[k].kernel == le16toh(one.tag))
				archive_entry_acl_add_entry(e, type, le16toh(one.perm),
							    acl_tags[k].archive,
							    (int)le32toh(one.id), NULL);
	}
}

static void add_xattr(struct archive_entry *e, const struct stream_xattr *x)
{
	if (strcmp(x->name, "system.posix_acl_access") == 0)
		add_acl(e, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, x);
	else if (strcmp(x->name, "system.posix_acl_default") == 0)
		add_acl(e, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, x);
	else
		archive_entry_xattr_add_entry(e, x->name, x->value, x->len);
}

/* A file that is one piece needs no map. */
static void add_extents(struct writer *w, const struct archive_file *f,
			const struct stream_extent *e, size_t n)
{
	bool whole = f->size == 0 || (n == 1 && e->at == 0 && e->len == f->size);

	w->extent = e;
	w->nextents = n;
	w->extent_now = 0;
	w->at = 0;
	w->size = f->size;
	for (size_t i = 0; !whole && i < n; i++)
		archive_entry_sparse_add_entry(w->entry, e[i].at, e[i].len);
	/* All of it is a hole. */
	if (!whole && n == 0)
		archive_entry_sparse_add_entry(w->entry, 0, 0);
}

static int put_contents(struct writer *w, const char *data, size_t len)
{
	while (len > 0) {
		la_ssize_t n = archive_write_data(w->archive, data, len);
		if (n < 0)
			return failed(w, archive_error_string(w->archive));
		if (n == 0)
			return 0; /* beyond the size it was given: the file grew */
		data += n;
		len -= (size_t)n;
		w->at += n;
	}
	return 0;
}

static int writer_put(void *arg, const struct archive_file *f, const struct stream_xattr *x,
		      size_t nx, const struct stream_extent *e, size_t n)
{
	struct writer *w = arg;

	archive_entry_clear(w->entry);
	archive_entry_copy_pathname(w->entry, f->path);
	archive_entry_set_mode(w->entry, f->mode);
	archive_entry_set_uid(w->entry, f->uid);
	archive_entry_set_gid(w->entry, f->gid);
	archive_entry_set_mtime(w->entry, f->mtime.tv_sec, f->mtime.tv_nsec);
	archive_entry_set_size(w->entry, S_ISREG(f->mode) && !f->hard ? f->size : 0);
	if (f->hard)
		archive_entry_copy_hardlink(w->entry, f->link);
	else if (f->link)
		archive_entry_copy_symlink(w->entry, f->link);
	for (size_t i = 0; i < nx; i++)
		add_xattr(w->entry, &x[i]);
	add_extents(w, f, e, n);
	int rc = archive_write_header(w->archive, w->entry);
	/* A warning is a name that is not ASCII, kept byte for byte. */
	if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
		return failed(w, archive_error_string(w->archive));
	/* The map is written with the first byte of the contents, be it one of a hole. */
	return n == 0 && w->size > 0 ? put_contents(w, w->zeros, 1) : 0;
}

/* libarchive is handed the holes too, as zeros, and leaves them out by its map. */
static int skip_hole(struct writer *w, int64_t to)
{
	while (w->at < to) {
		int64_t n = to - w->at;
		int64_t before = w->at;
		if (put_contents(w, w->zeros, n > HOLE_ROOM ? HOLE_ROOM : (size_t)n) < 0)
			return -1;
		if (w->at == before)
			return 0;
	}
	return 0;
}

static int writer_write(void *arg, const void *data, size_t len)
{
	struct writer *w = arg;
	const char *p = data;

	while (len > 0 && w->extent_now < w->nextents) {
		const struct stream_extent *e = &w->extent[w->extent_now];
		if (w->at < e->at && skip_hole(w, e->at) < 0)
			return -1;
		int64_t room = e->at + e->len - w->at;
		size_t n = (int64_t)len < room ? len : (size_t)room;
		if (put_contents(w, p, n) < 0)
			return -1;
		p += n;
		len -= n;
		if ((int64_t)n == room)
			w->extent_now++;
	}
	return 0;
}

static int put_trailer(struct writer *w)
{
	char text[STREAM_TRAILER], hex[STREAM_SUM_HEX];
	struct sha256_ctx sum = w->sum;

	stream_hex(&sum, hex);
	memset(text, '\n', sizeof(text));
	int n = snprintf(text, sizeof(text), STREAM_TRAILER_FORMAT, w->summed, hex);
	text[n] = '\n';
	return put_plain(w, text, sizeof(text));
}

static int writer_finish(void *arg)
{
	struct writer *w = arg;

	if (archive_write_close(w->archive) != ARCHIVE_OK)
		return failed(w, archive_error_string(w->archive));
	archive_write_free(w->archive);
	w->archive = NULL;
	if (put_trailer(w) < 0)
		return -1;
	return w->zstd ? compress(w, NULL, 0, ZSTD_e_end) : 0;
}

static uint64_t writer_written(void *arg)
{
	struct writer *w = arg;

	return w->written;
}

static const char *writer_fault(void *arg)
{
	struct writer *w = arg;

	return w->fault;
}

void stream_hex(struct sha256_ctx *sum, char hex[static STREAM_SUM_HEX])
{
	uint8_t digest[SHA256_DIGEST_SIZE];

	sha256_digest(sum, sizeof(digest), digest);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

static void *sum_begin(void)
{
	struct sha256_ctx *s = malloc(sizeof(*s));

	if (s)
		sha256_init(s);
	return s;
}

static void sum_add(void *s, const void *data, size_t len)
{
	sha256_update(s, len, data);
}

static void sum_end(void *s, char hex[static STREAM_SUM_HEX])
{
	stream_hex(s, hex);
	free(s);
}

extern const struct stream_module newgate_stream;
const struct stream_module newgate_stream = {
    .create = writer_create,
    .put = writer_put,
    .write = writer_write,
    .finish = writer_finish,
    .written = writer_written,
    .write_fault = writer_fault,
    .destroy = writer_destroy,
    .open = stream_reader_open,
    .check = stream_reader_check,
    .read_fault = stream_reader_fault,
    .close = stream_reader_close,
    .sum_begin = sum_begin,
    .sum_add = sum_add,
    .sum_end = sum_end,
};
