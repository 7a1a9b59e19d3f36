/* OCI images, as far as their JSON goes (the OCI image specification's image-index.md, manifest.md
 * and config.md). Pure: what is read comes from strangers, and nothing is opened here.
 *
 * Texts are the arena's. Faults are told in full; a function that fails leaves *out alone. */
#ifndef NG_STORE_OCI_H
#define NG_STORE_OCI_H

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

/* What a descriptor tells of a file below blobs/. */
struct oci_blob {
	const char *type; /* media type */
	const char *sum;  /* 64 digits: its SHA-256, and its name below blobs/sha256/ */
	uint64_t size;
};

/* The manifest that an index names: of that tag, or, with tag NULL, the only one, else the one
 * tagged "latest"; of several for one tag, that of the machine (uname(2)). It may be an index
 * again: oci_is_index tells. */
int oci_read_index(struct arena *a, const char *text, size_t len, const char *tag,
		   const char *machine, struct oci_blob *out, struct ng_err *err) MUST_CHECK;
bool oci_is_index(const struct oci_blob *b);

struct oci_manifest {
	struct oci_blob config, *layer; /* the lowest first */
	size_t nlayers;
};
int oci_read_manifest(struct arena *a, const char *text, size_t len, struct oci_manifest *out,
		      struct ng_err *err) MUST_CHECK;

struct oci_config {
	const char **plain; /* of each layer, the SHA-256 of what is in the compression */
	size_t nplain;
	struct strv argv; /* Entrypoint, then Cmd */
	struct strv env;
	const char *user, *dir; /* "" where it does not say */
};
int oci_read_config(struct arena *a, const char *text, size_t len, const char *machine,
		    struct oci_config *out, struct ng_err *err) MUST_CHECK;
void oci_config_done(struct oci_config *c);

/* What a clone's block in jail.conf begins with, a "parameter=value" a line. What no such line can
 * hold is in *left, by name. */
void oci_defaults(struct str *out, const struct oci_config *c, struct strv *left);

#endif
