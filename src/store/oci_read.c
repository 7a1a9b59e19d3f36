#include <string.h>
#include "base/json.h"
#include "base/num.h"
#include "store/oci.h"

#define SIZE_MAX_BLOB (UINT64_C(1) << 50)

static int parse(struct arena *a, const char *text, size_t len, const char *what, struct json **out,
		 struct ng_err *err)
{
	size_t at = 0;

	if (json_parse(a, text, len, out, &at) < 0)
		return err_set(err, EBADMSG, "%s is not JSON at byte %zu", what, at);
	if ((*out)->type != JSON_OBJECT)
		return err_set(err, EBADMSG, "%s is no JSON object", what);
	return 0;
}

static const struct json *items(const struct json *o, const char *name)
{
	const struct json *list = json_get(o, name);

	return list && list->type == JSON_ARRAY ? list->first : NULL;
}

static const char *string_of(const struct json *o, const char *name)
{
	const struct json *j = json_get(o, name);

	return j && j->type == JSON_STRING ? j->text : "";
}

/* The digits of "sha256:DIGITS"; NULL for anything else. */
static const char *sum_of(const char *digest)
{
	static const char algorithm[] = "sha256:";
	const char *hex = digest + sizeof(algorithm) - 1;

	if (!str_prefix(digest, algorithm) || strlen(hex) != 64 ||
	    strspn(hex, "0123456789abcdef") != 64)
		return NULL;
	return hex;
}

static int read_blob(const struct json *o, const char *what, struct oci_blob *out,
		     struct ng_err *err)
{
	const char *digest = string_of(o, "digest");
	const struct json *size = json_get(o, "size");
	struct oci_blob b = {.type = string_of(o, "mediaType"), .sum = sum_of(digest)};

	if (!b.sum)
		return err_set(err, EBADMSG,
			       "%s: its digest \"%.200s\" is not sha256 with 64 hexadecimal digits",
			       what, digest);
	if (!size || size->type != JSON_NUMBER ||
	    num_u64(size->text, 0, SIZE_MAX_BLOB, &b.size) < 0)
		return err_set(err, EBADMSG, "%s: it has no size", what);
	*out = b;
	return 0;
}

/* ---- index ---- */

bool oci_is_index(const struct oci_blob *b)
{
	return str_eq(b->type, "application/vnd.oci.image.index.v1+json") ||
	       str_eq(b->type, "application/vnd.docker.distribution.manifest.list.v2+json");
}

/* The Go language's names, which images use. */
static const char *architecture(const char *machine)
{
	static const char *const name[][2] = {
	    {"x86_64", "amd64"}, {"aarch64", "arm64"}, {"i686", "386"},
	    {"armv7l", "arm"},   {"armv6l", "arm"},    {"loongarch64", "loong64"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(name); i++)
		if (str_eq(machine, name[i][0]))
			return name[i][1];
	return machine; /* riscv64, ppc64le, s390x */
}

static const char *tag_of(const struct json *entry)
{
	return string_of(json_get(entry, "annotations"), "org.opencontainers.image.ref.name");
}

/* An entry that names no platform suits every one. */
static bool suits(const struct json *entry, const char *machine)
{
	const struct json *platform = json_get(entry, "platform");
	const char *os = string_of(platform, "os"), *arch = string_of(platform, "architecture");

	return (*os == '\0' || str_eq(os, "linux")) &&
	       (*arch == '\0' || str_eq(arch, architecture(machine)));
}

static bool is_one_tag(const struct json *list)
{
	for (const struct json *e = list; e; e = e->next)
		if (!str_eq(tag_of(e), tag_of(list)))
			return false;
	return true;
}

static int no_such_tag(const struct json *list, const char *tag, struct ng_err *err)
{
	autodone(strv_done) struct strv tags = {0};
	autodone(str_done) struct str said = {0};

	for (const struct json *e = list; e; e = e->next)
		if (*tag_of(e) && !strv_has(&tags, tag_of(e)))
			strv_add(&tags, tag_of(e));
	for (size_t i = 0; i < tags.n; i++)
		str_addf(&said, "%s%s", i > 0 ? ", " : "", tags.v[i]);
	if (tag)
		return err_set(err, ENOENT, "it has no image tagged %s, but %.1024s", tag,
			       said.len > 0 ? said.s : "none with a tag");
	return err_set(
	    err, ENOENT,
	    "it has several images: name one behind the folder, as in oci:DIR:TAG (%.1024s)",
	    said.len > 0 ? said.s : "none has a tag");
}

int oci_read_index(struct arena *a, const char *text, size_t len, const char *tag,
		   const char *machine, struct oci_blob *out, struct ng_err *err)
{
	struct json *index;
	int rc = parse(a, text, len, "the index", &index, err);

	if (rc < 0)
		return rc;
	const struct json *list = items(index, "manifests"), *found = NULL;
	if (!list)
		return err_set(err, EBADMSG, "the index names no image");
	const char *wanted = tag ? tag : is_one_tag(list) ? tag_of(list) : "latest";
	bool tagged = false;
	for (const struct json *e = list; e && !found; e = e->next) {
		if (!str_eq(tag_of(e), wanted))
			continue;
		tagged = true;
		if (suits(e, machine))
			found = e;
	}
	if (!tagged)
		return no_such_tag(list, tag, err);
	if (!found)
		return err_set(err, ENOENT, "it has no image for Linux on %s",
			       architecture(machine));
	return read_blob(found, "the index", out, err);
}

/* ---- manifest ---- */

static bool is_layer_type(const char *type)
{
	static const char *const known[] = {
	    "application/vnd.oci.image.layer.v1.tar",
	    "application/vnd.oci.image.layer.v1.tar+gzip",
	    "application/vnd.oci.image.layer.v1.tar+zstd",
	    "application/vnd.oci.image.layer.nondistributable.v1.tar",
	    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
	    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
	    "application/vnd.docker.image.rootfs.diff.tar",
	    "application/vnd.docker.image.rootfs.diff.tar.gzip",
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (str_eq(type, known[i]))
			return true;
	return false;
}

static bool is_config_type(const char *type)
{
	return str_eq(type, "application/vnd.oci.image.config.v1+json") ||
	       str_eq(type, "application/vnd.docker.container.image.v1+json");
}

int oci_read_manifest(struct arena *a, const char *text, size_t len, struct oci_manifest *out,
		      struct ng_err *err)
{
	struct oci_manifest m = {0};
	struct json *j;
	size_t n = 0;
	int rc = parse(a, text, len, "the manifest", &j, err);

	if (rc == 0)
		rc = read_blob(json_get(j, "config"), "the manifest: its config", &m.config, err);
	if (rc < 0)
		return rc;
	if (!is_config_type(m.config.type))
		return err_set(err, EBADMSG, "it is no image: its config is of type \"%.200s\"",
			       m.config.type);
	for (const struct json *l = items(j, "layers"); l; l = l->next)
		n++;
	m.layer = arena_alloc(a, (n + 1) * sizeof(*m.layer));
	for (const struct json *l = items(j, "layers"); l; l = l->next) {
		struct oci_blob *b = &m.layer[m.nlayers++];
		rc = read_blob(l, "the manifest: a layer", b, err);
		if (rc < 0)
			return rc;
		if (!is_layer_type(b->type))
			return err_set(err, EBADMSG,
				       "a layer is of type \"%.200s\", not a tar archive, plain or "
				       "compressed by gzip or zstd",
				       b->type);
	}
	*out = m;
	return 0;
}

/* ---- config ---- */

static void add_strings(struct strv *out, const struct json *o, const char *name)
{
	for (const struct json *j = items(o, name); j; j = j->next)
		if (j->type == JSON_STRING)
			strv_add(out, j->text);
}

static int read_plain(struct arena *a, const struct json *config, struct oci_config *out,
		      struct ng_err *err)
{
	const struct json *list = items(json_get(config, "rootfs"), "diff_ids");
	size_t n = 0;

	for (const struct json *j = list; j; j = j->next)
		n++;
	out->plain = arena_alloc(a, (n + 1) * sizeof(*out->plain));
	for (const struct json *j = list; j; j = j->next) {
		const char *sum = sum_of(json_text(j));
		if (!sum)
			return err_set(err, EBADMSG,
				       "the config: \"%.200s\" is not sha256 with 64 hexadecimal "
				       "digits",
				       json_text(j));
		out->plain[out->nplain++] = sum;
	}
	return 0;
}

int oci_read_config(struct arena *a, const char *text, size_t len, const char *machine,
		    struct oci_config *out, struct ng_err *err)
{
	struct oci_config c = {0};
	struct json *j;
	int rc = parse(a, text, len, "the config", &j, err);

	if (rc < 0)
		return rc;
	const char *os = string_of(j, "os"), *arch = string_of(j, "architecture");
	if (!str_eq(os, "linux") || !str_eq(arch, architecture(machine)))
		return err_set(err, ENOEXEC, "it is for %.100s on %.100s, not for Linux on %s",
			       *os ? os : "?", *arch ? arch : "?", architecture(machine));
	rc = read_plain(a, j, &c, err);
	if (rc < 0)
		return rc;
	const struct json *run = json_get(j, "config");
	add_strings(&c.argv, run, "Entrypoint");
	add_strings(&c.argv, run, "Cmd");
	add_strings(&c.env, run, "Env");
	c.user = string_of(run, "User");
	c.dir = string_of(run, "WorkingDir");
	*out = c;
	return 0;
}

void oci_config_done(struct oci_config *c)
{
	strv_done(&c->argv);
	strv_done(&c->env);
}

/* ---- what it means for a jail ---- */

static bool fits_line(const char *value)
{
	for (const char *p = value; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return false;
	return true;
}

static void put(struct str *out, struct strv *left, const char *said, const char *param,
		const char *value)
{
	if (fits_line(value))
		str_addf(out, "%s=%s\n", param, value);
	else
		strv_add(left, said);
}

/* A word as /bin/sh reads it. Words without any such character need no shell: an image may have
 * none. */
static void add_word(struct str *out, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "_-./:=,@%+";

	if (out->len > 0)
		str_addc(out, ' ');
	if (*word && word[strspn(word, plain)] == '\0') {
		str_add(out, word);
		return;
	}
	str_addc(out, '\'');
	for (; *word; word++) {
		if (*word == '\'')
			str_add(out, "'\\''");
		else
			str_addc(out, *word);
	}
	str_addc(out, '\'');
}

/* Runs the program itself in the place of the shell that the quotes need. */
static void add_service(struct str *out, const struct oci_config *c, struct strv *left)
{
	autodone(str_done) struct str words = {0};
	autodone(str_done) struct str line = {0};

	if (c->argv.n == 0)
		return;
	for (size_t i = 0; i < c->argv.n; i++)
		add_word(&words, c->argv.v[i]);
	str_addf(&line, "%s%s", strchr(words.s, '\'') ? "exec " : "", words.s);
	put(out, left, "Cmd", "service", line.s);
}

static bool is_root(const char *user)
{
	static const char *const root[] = {"", "0", "root", "0:0", "root:root", "0:root", "root:0"};

	for (size_t i = 0; i < ARRAY_SIZE(root); i++)
		if (str_eq(user, root[i]))
			return true;
	return false;
}

void oci_defaults(struct str *out, const struct oci_config *c, struct strv *left)
{
	add_service(out, c, left);
	for (size_t i = 0; i < c->env.n; i++) {
		const char *v = c->env.v[i], *eq = strchr(v, '=');
		autofree char *said = mem_strndup(v, eq ? (size_t)(eq - v) : strlen(v));
		if (eq && eq > v)
			put(out, left, said, "exec.env", v);
	}
	if (!is_root(c->user))
		put(out, left, "User", "exec.jail_user", c->user);
	if (c->dir[0] == '/' && c->dir[1] != '\0')
		put(out, left, "WorkingDir", "exec.dir", c->dir);
}
