/* The JSON of images: whatever is read can be turned into lines of a block, and no name of a file
 * that comes out of it is anything but digits. */
#include <string.h>

#include "base/str.h"
#include "fuzz.h"
#include "store/oci.h"

static void check_blob(const struct oci_blob *b)
{
	FUZZ_CHECK(strlen(b->sum) == 64 && strspn(b->sum, "0123456789abcdef") == 64);
}

static void check_lines(struct str *out)
{
	for (char *rest = out->s, *line; rest && (line = strsep(&rest, "\n"));)
		FUZZ_CHECK(!*line || strchr(line, '='));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = {0};
	struct ng_err err = {0};
	struct oci_blob b = {0};
	struct oci_manifest m = {0};
	autodone(oci_config_done) struct oci_config c = {0};
	autodone(strv_done) struct strv left = {0};
	autodone(str_done) struct str out = {0};
	const char *text = (const char *)data;

	if (oci_read_index(&a, text, size, NULL, "x86_64", &b, &err) == 0)
		check_blob(&b);
	if (oci_read_index(&a, text, size, "v1", "aarch64", &b, &err) == 0)
		check_blob(&b);
	if (oci_read_manifest(&a, text, size, &m, &err) == 0)
		check_blob(&m.config);
	for (size_t i = 0; i < m.nlayers; i++)
		check_blob(&m.layer[i]);
	if (oci_read_config(&a, text, size, "x86_64", &c, &err) == 0)
		oci_defaults(&out, &c, &left);
	check_lines(&out);
	arena_done(&a);
	return 0;
}
