/* newgate-archive.so: what archive-module.h describes, by libarchive. */
#include <archive.h>
#include <archive_entry.h>
#include <endian.h>
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "store/archive-reader.h"

#define ACL_MAX 128 /* entries of one list */

struct acl {
	uint32_t version;
	struct acl_entry entry[ACL_MAX];
};

struct reader {
	struct archive *archive;
	struct archive_entry *entry;
	locale_t utf8, before;
	int acl_type; /* the list that comes next, 0: none is left */
	struct acl acl;
	char error[512];
};

static struct reader *reader_new(void)
{
	struct reader *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	/* Names in pax headers are UTF-8; in the C locale libarchive would not hand them out. */
	r->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	r->before = uselocale(r->utf8 ? r->utf8 : LC_GLOBAL_LOCALE);
	r->archive = archive_read_new();
	if (r->archive) {
		archive_read_support_format_tar(r->archive);
		archive_read_support_format_empty(r->archive);
	}
	return r;
}

/* A failure to open is told by the first next(). */
static void *reader_open(int fd)
{
	struct reader *r = reader_new();

	if (r && r->archive) {
		archive_read_support_filter_gzip(r->archive);
		archive_read_support_filter_bzip2(r->archive);
		archive_read_support_filter_xz(r->archive);
		archive_read_support_filter_zstd(r->archive);
		archive_read_open_fd(r->archive, fd, 65536);
	}
	return r;
}

static la_ssize_t read_pieces(struct archive *a, void *arg, const void **piece)
{
	struct archive_pieces *from = arg;
	ssize_t n = from->read(from->arg, piece);

	if (n < 0)
		archive_set_error(a, EBADMSG, "%s", from->fault);
	return n;
}

void *archive_open_pieces(struct archive_pieces *from)
{
	struct reader *r = reader_new();

	if (r && r->archive)
		archive_read_open(r->archive, from, NULL, read_pieces, NULL);
	return r;
}

static int failed(struct reader *r, const char *text)
{
	if (!text && r->archive)
		text = archive_error_string(r->archive);
	snprintf(r->error, sizeof(r->error), "%s", text ? text : "it cannot be read");
	return -1;
}

static int reader_next(void *a, struct archive_file *out)
{
	struct reader *r = a;
	int rc = r->archive ? archive_read_next_header(r->archive, &r->entry) : ARCHIVE_FATAL;

	if (rc == ARCHIVE_EOF)
		return 0;
	if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
		return failed(r, NULL);
	struct archive_entry *e = r->entry;
	const char *hard = archive_entry_hardlink(e);
	*out = (struct archive_file){
	    .path = archive_entry_pathname(e),
	    .link = hard ? hard : archive_entry_symlink(e),
	    .hard = hard != NULL,
	    .mode = archive_entry_mode(e),
	    .uid = (uint32_t)archive_entry_uid(e),
	    .gid = (uint32_t)archive_entry_gid(e),
	    .size = archive_entry_size_is_set(e) ? archive_entry_size(e) : 0,
	    .mtime = {archive_entry_mtime(e), archive_entry_mtime_nsec(e)},
	};
	if (!out->path || (S_ISLNK(out->mode) && !out->link))
		return failed(r, "an entry has a name that cannot be read");
	archive_entry_xattr_reset(e);
	r->acl_type = ARCHIVE_ENTRY_ACL_TYPE_ACCESS;
	return 1;
}

static int reader_data(void *a, const void **piece, size_t *len, int64_t *offset)
{
	struct reader *r = a;
	int rc = archive_read_data_block(r->archive, piece, len, offset);

	if (rc == ARCHIVE_EOF)
		return 0;
	return rc == ARCHIVE_OK ? 1 : failed(r, NULL);
}

const struct acl_tag acl_tags[ACL_TAGS] = {
    {0x01, ARCHIVE_ENTRY_ACL_USER_OBJ},  {0x02, ARCHIVE_ENTRY_ACL_USER},
    {0x04, ARCHIVE_ENTRY_ACL_GROUP_OBJ}, {0x08, ARCHIVE_ENTRY_ACL_GROUP},
    {0x10, ARCHIVE_ENTRY_ACL_MASK},      {0x20, ARCHIVE_ENTRY_ACL_OTHER},
};

static uint16_t acl_tag(int tag)
{
	size_t i = 0;

	while (i < ACL_TAGS - 1 && acl_tags[i].archive != tag)
		i++;
	return acl_tags[i].kernel;
}

/* The order that the kernel asks for. */
static int compare_entries(const void *a, const void *b)
{
	const struct acl_entry *x = a, *y = b;

	if (x->tag != y->tag)
		return le16toh(x->tag) < le16toh(y->tag) ? -1 : 1;
	return le32toh(x->id) < le32toh(y->id) ? -1 : le32toh(x->id) > le32toh(y->id);
}

/* Bytes of the attribute, 0 where the entry has no such list, or none with more than the mode says,
 * or one that names users by name alone. */
static size_t acl_attribute(struct reader *r, int which)
{
	int type, perm, tag, id;
	const char *name;
	size_t n = 0;

	if (archive_entry_acl_reset(r->entry, which) == 0)
		return 0;
	r->acl.version = htole32(ACL_VERSION);
	while (archive_entry_acl_next(r->entry, which, &type, &perm, &tag, &id, &name) ==
	       ARCHIVE_OK) {
		uint16_t t = acl_tag(tag);
		if (n == ACL_MAX || ((t == 0x02 || t == 0x08) && id < 0))
			return 0;
		r->acl.entry[n++] =
		    (struct acl_entry){htole16(t), htole16((uint16_t)(perm & 7)),
				       htole32(t == 0x02 || t == 0x08 ? (uint32_t)id : ACL_NO_ID)};
	}
	if (n == 0)
		return 0;
	qsort(r->acl.entry, n, sizeof(r->acl.entry[0]), compare_entries);
	return sizeof(r->acl.version) + n * sizeof(r->acl.entry[0]);
}

static int reader_xattr(void *a, const char **name, const void **value, size_t *len)
{
	struct reader *r = a;

	if (archive_entry_xattr_next(r->entry, name, value, len) == ARCHIVE_OK)
		return 1;
	while (r->acl_type != 0) {
		bool access = r->acl_type == ARCHIVE_ENTRY_ACL_TYPE_ACCESS;
		*len = acl_attribute(r, r->acl_type);
		*value = &r->acl;
		*name = access ? "system.posix_acl_access" : "system.posix_acl_default";
		r->acl_type = access ? ARCHIVE_ENTRY_ACL_TYPE_DEFAULT : 0;
		if (*len > 0)
			return 1;
	}
	return 0;
}

static const char *reader_error(void *a)
{
	struct reader *r = a;

	return r->error;
}

static void reader_close(void *a)
{
	struct reader *r = a;

	if (r->archive)
		archive_read_free(r->archive);
	uselocale(r->before);
	if (r->utf8)
		freelocale(r->utf8);
	free(r);
}

const struct archive_module newgate_archive = {
    .open = reader_open,
    .next = reader_next,
    .data = reader_data,
    .xattr = reader_xattr,
    .error = reader_error,
    .close = reader_close,
};
