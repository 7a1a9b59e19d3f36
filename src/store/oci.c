/* Templates from OCI image layouts: a folder with index.json and blobs/sha256/SUM. Every file is
 * taken for what its sum says, so whoever gave the index vouches for all of it. */
#include "store/oci.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include "base/json.h"
#include "store/layer-module.h"
#include "store/stream-module.h"
#include "store/tools.h"
#include "store/unpack.h"

#define JSON_MAX (4u << 20) /* what readers of manifests take, by the specification */
#define INDEX_DEPTH 4

struct layout {
	int dir;
	const char *what; /* as the user named it */
	const struct archive_module *module;
	const struct layer_module *layers;
	const struct stream_module *stream; /* for its sums */
	struct arena arena;
	struct utsname uts;
	struct ng_err *err;
};

static void layout_done(struct layout *l)
{
	if (l->dir >= 0)
		close(l->dir);
	arena_done(&l->arena);
}

static int read_json(struct layout *l, int fd, const char *name, char **out, size_t *len)
{
	struct stat st;
	size_t have = 0;

	if (fstat(fd, &st) < 0)
		return err_sys(l->err, errno, "%s", name);
	if (!S_ISREG(st.st_mode) || st.st_size > JSON_MAX)
		return err_set(l->err, EFBIG, "%s: it is no file of at most %u bytes", name,
			       JSON_MAX);
	*out = arena_alloc(&l->arena, (size_t)st.st_size + 1);
	while (have < (size_t)st.st_size) {
		ssize_t n = read(fd, *out + have, (size_t)st.st_size - have);
		if (n < 0 && errno != EINTR)
			return err_sys(l->err, errno, "%s", name);
		if (n == 0)
			break;
		have += n > 0 ? (size_t)n : 0;
	}
	*len = have;
	return 0;
}

static int open_file(struct layout *l, const char *name)
{
	int fd = openat(l->dir, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	return fd < 0 ? err_sys(l->err, errno, "%s", name) : fd;
}

static int open_blob(struct layout *l, const struct oci_blob *b, const char **name)
{
	struct stat st;

	*name = arena_printf(&l->arena, "blobs/sha256/%s", b->sum);
	autoclose int fd = open_file(l, *name);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return err_sys(l->err, errno, "%s", *name);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != b->size)
		return err_set(l->err, EBADMSG,
			       "%s has %lld bytes, not the %llu it is said to have", *name,
			       (long long)st.st_size, (unsigned long long)b->size);
	return take_fd(&fd);
}

static int altered(struct layout *l, const char *name, const char *sum)
{
	return err_set(l->err, EBADMSG, "%s was altered: its SHA-256 is %s", name, sum);
}

static int read_blob(struct layout *l, const struct oci_blob *b, char **text, size_t *len)
{
	const char *name;
	char sum[LAYER_SUM_HEX];
	autoclose int fd = open_blob(l, b, &name);
	int rc = fd < 0 ? fd : read_json(l, fd, name, text, len);

	if (rc < 0)
		return rc;
	void *state = l->stream->sum_begin();
	if (!state)
		return err_sys(l->err, ENOMEM, "%s", name);
	l->stream->sum_add(state, *text, *len);
	l->stream->sum_end(state, sum);
	return str_eq(sum, b->sum) ? 0 : altered(l, name, sum);
}

/* What oci-layout says: a version that we know. */
static int check_version(struct layout *l)
{
	struct json *j = NULL;
	char *text;
	size_t len;
	autoclose int fd = openat(l->dir, "oci-layout", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return err_set(l->err, errno,
			       "it is no OCI image layout: there is no file oci-layout in it");
	int rc = read_json(l, fd, "oci-layout", &text, &len);
	if (rc < 0)
		return rc;
	if (json_parse(&l->arena, text, len, &j, NULL) < 0 ||
	    !str_prefix(json_get_text(j, "imageLayoutVersion"), "1."))
		return err_set(l->err, EBADMSG, "oci-layout: it is not of version 1");
	return 0;
}

static int find_manifest(struct layout *l, const char *tag, struct oci_blob *out)
{
	char *text;
	size_t len;
	autoclose int fd = open_file(l, "index.json");
	int rc = fd < 0 ? fd : read_json(l, fd, "index.json", &text, &len);

	if (rc == 0)
		rc = oci_read_index(&l->arena, text, len, tag, l->uts.machine, out, l->err);
	/* An image for several machines is an index below the index; there the tag is behind us. */
	for (int depth = 0; rc == 0 && oci_is_index(out); depth++) {
		const struct oci_blob index = *out;
		if (depth == INDEX_DEPTH)
			return err_set(l->err, ELOOP, "indexes are nested too deeply");
		rc = read_blob(l, &index, &text, &len);
		if (rc == 0)
			rc =
			    oci_read_index(&l->arena, text, len, NULL, l->uts.machine, out, l->err);
	}
	return rc;
}

/* "DIR" or "DIR:TAG"; a folder whose name ends like a tag is meant as it stands. */
static int open_layout(struct layout *l, const char **tag)
{
	const char *colon = strrchr(l->what, ':');

	*tag = NULL;
	l->dir = open(l->what, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (l->dir < 0 && errno == ENOENT && colon && !strchr(colon, '/')) {
		const char *dir = arena_strndup(&l->arena, l->what, (size_t)(colon - l->what));
		l->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		*tag = colon + 1;
	}
	return l->dir < 0 ? err_sys(l->err, errno, "oci:%s", l->what) : 0;
}

static int check_sums(struct layout *l, void *layer, const char *name, const struct oci_blob *b,
		      const char *plain)
{
	char stored_sum[LAYER_SUM_HEX], plain_sum[LAYER_SUM_HEX];

	if (l->layers->sums(layer, stored_sum, plain_sum) < 0)
		return err_set(l->err, EBADMSG, "%s: %s", name, l->layers->fault(layer));
	if (!str_eq(stored_sum, b->sum))
		return altered(l, name, stored_sum);
	if (!str_eq(plain_sum, plain))
		return err_set(l->err, EBADMSG,
			       "%s: decompressed, its SHA-256 is %s, not the %s that the config "
			       "tells",
			       name, plain_sum, plain);
	return 0;
}

/* `u` tells whom, and about what, to tell how far it is. */
static int apply_layer(struct layout *l, struct unpack *u, const struct oci_blob *b,
		       const char *plain)
{
	const char *name;
	autoclose int fd = open_blob(l, b, &name);

	if (fd < 0)
		return fd;
	u->fd = fd;
	void *layer = l->layers->open(fd, &u->archive);
	if (!layer)
		return err_sys(l->err, ENOMEM, "%s", name);
	int rc = unpack_all(u);
	if (rc < 0)
		err_prefix(l->err, "layer %.12s", b->sum);
	else
		rc = check_sums(l, layer, name, b, plain);
	l->layers->close(layer);
	return rc;
}

static int apply_layers(struct layout *l, struct store *s, int tree, const struct oci_manifest *m,
			const struct oci_config *c)
{
	uint64_t before = 0, total = 0;

	if (m->nlayers != c->nplain)
		return err_set(l->err, EBADMSG, "the manifest has %zu layers, the config %zu",
			       m->nlayers, c->nplain);
	for (size_t i = 0; i < m->nlayers; i++)
		total += m->layer[i].size;
	for (size_t i = 0; i < m->nlayers; i++) {
		autodone(unpack_done) struct unpack u = {
		    .module = l->module,
		    .tree = tree,
		    .flags = UNPACK_LAYER,
		    .err = l->err,
		    .store = s,
		    .what = l->what,
		    .before = before,
		    .total = total,
		};
		int rc = apply_layer(l, &u, &m->layer[i], c->plain[i]);
		if (rc < 0)
			return rc;
		before += m->layer[i].size;
	}
	return 0;
}

static void tell_left(struct store *s, const struct strv *left)
{
	for (size_t i = 0; s->note && i < left->n; i++) {
		autodone(str_done) struct str said = {0};
		str_addf(&said,
			 "%s of the image's config has a control character in it and was "
			 "left out",
			 left->v[i]);
		s->note(s->note_arg, said.s);
	}
}

static int make(struct layout *l, struct store *s, int tree, struct str *defaults, char **id)
{
	autodone(oci_config_done) struct oci_config c = {0};
	autodone(strv_done) struct strv left = {0};
	struct oci_manifest m = {0};
	struct oci_blob b = {0};
	const char *tag;
	char *text;
	size_t len;
	int rc = open_layout(l, &tag);

	if (rc == 0)
		rc = check_version(l);
	if (rc == 0)
		rc = find_manifest(l, tag, &b);
	if (rc == 0)
		rc = read_blob(l, &b, &text, &len);
	if (rc == 0)
		rc = oci_read_manifest(&l->arena, text, len, &m, l->err);
	if (rc < 0)
		return rc;
	*id = mem_strdup(b.sum);
	if (tree < 0)
		return 0;
	rc = read_blob(l, &m.config, &text, &len);
	if (rc == 0)
		rc = oci_read_config(&l->arena, text, len, l->uts.machine, &c, l->err);
	if (rc == 0)
		rc = apply_layers(l, s, tree, &m, &c);
	if (rc < 0)
		return rc;
	oci_defaults(defaults, &c, &left);
	tell_left(s, &left);
	return 0;
}

int make_oci(struct store *s, const char *layout, int tree, struct str *defaults, char **id,
	     struct ng_err *err)
{
	autodone(layout_done) struct layout l = {.dir = -1, .what = layout, .err = err};

	l.module = archive_load(err);
	l.layers = l.module ? archive_symbol(LAYER_SYMBOL, err) : NULL;
	l.stream = l.layers ? stream_load(err) : NULL;
	if (!l.stream)
		return -err->code;
	if (uname(&l.uts) < 0)
		return err_sys(err, errno, "uname");
	int rc = make(&l, s, tree, defaults, id);
	return rc < 0 ? err_prefix(err, "oci:%s", layout) : 0;
}
