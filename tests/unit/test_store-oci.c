#include "unit.h"

#include <stdio.h>
#include <string.h>
#include "store/oci.h"

#define SUM_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SUM_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define BLOB(type, sum) "\"mediaType\": \"" type "\", \"digest\": \"sha256:" sum "\", \"size\": 7"
#define TAG(tag) "\"annotations\": {\"org.opencontainers.image.ref.name\": \"" tag "\"}"
#define PLATFORM(os, arch) "\"platform\": {\"os\": \"" os "\", \"architecture\": \"" arch "\"}"

static struct ng_err err;

static int index_of(const char *list, const char *tag, const char *machine, char sum[static 65])
{
	struct arena a = {0};
	struct oci_blob b = {0};
	char *text = arena_printf(&a, "{\"manifests\": [%s]}", list);

	err = (struct ng_err){0};
	int rc = oci_read_index(&a, text, strlen(text), tag, machine, &b, &err);
	snprintf(sum, 65, "%s", rc == 0 ? b.sum : "");
	if (rc == 0)
		assert_int_equal(b.size, 7);
	arena_done(&a);
	return rc;
}

static void assert_says(const char *part)
{
	if (!strstr(err.text, part))
		fail_msg("\"%s\" is not in \"%s\"", part, err.text);
}

static void an_index_names_one_image(void **arg)
{
	char sum[65];

	(void)arg;
	assert_int_equal(index_of("{" BLOB(MANIFEST, SUM_A) "}", NULL, "x86_64", sum), 0);
	assert_string_equal(sum, SUM_A);
	static const char two[] =
	    "{" BLOB(MANIFEST, SUM_A) "," TAG("v1") "}, {" BLOB(MANIFEST, SUM_B) "," TAG("v2") "}";
	assert_int_equal(index_of(two, "v2", "x86_64", sum), 0);
	assert_string_equal(sum, SUM_B);
	assert_int_equal(index_of(two, NULL, "x86_64", sum), -ENOENT);
	assert_says("oci:DIR:TAG (v1, v2)");
	assert_int_equal(index_of(two, "v3", "x86_64", sum), -ENOENT);
	assert_says("no image tagged v3, but v1, v2");
	static const char latest[] = "{" BLOB(MANIFEST, SUM_A) "," TAG("v1") "}, {" BLOB(
	    MANIFEST, SUM_B) "," TAG("latest") "}";
	assert_int_equal(index_of(latest, NULL, "x86_64", sum), 0);
	assert_string_equal(sum, SUM_B);
	assert_int_equal(index_of("", NULL, "x86_64", sum), -EBADMSG);
}

static void the_machine_decides(void **arg)
{
	char sum[65];
	static const char both[] = "{" BLOB(MANIFEST, SUM_A) "," PLATFORM(
	    "linux", "amd64") "}, {" BLOB(MANIFEST, SUM_B) "," PLATFORM("linux", "arm64") "}";

	(void)arg;
	assert_int_equal(index_of(both, NULL, "x86_64", sum), 0);
	assert_string_equal(sum, SUM_A);
	assert_int_equal(index_of(both, NULL, "aarch64", sum), 0);
	assert_string_equal(sum, SUM_B);
	assert_int_equal(index_of(both, NULL, "riscv64", sum), -ENOENT);
	assert_says("no image for Linux on riscv64");
	assert_int_equal(index_of("{" BLOB(MANIFEST, SUM_A) "," PLATFORM("freebsd", "amd64") "}",
				  NULL, "x86_64", sum),
			 -ENOENT);
}

static void sums_are_sums(void **arg)
{
	char sum[65];
	static const char *const bad[] = {
	    "sha256:aa",
	    ("sha512:" SUM_A),
	    "sha256:../../../../../../../../../../../../../../../../../../../../../etc/xx",
	    "sha256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
	    "",
	};

	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char text[256];
		snprintf(text, sizeof(text), "{\"digest\": \"%s\", \"size\": 7}", bad[i]);
		assert_int_equal(index_of(text, NULL, "x86_64", sum), -EBADMSG);
		assert_says("is not sha256 with 64 hexadecimal digits");
	}
	assert_int_equal(index_of("{\"digest\": \"sha256:" SUM_A "\"}", NULL, "x86_64", sum),
			 -EBADMSG);
	assert_int_equal(
	    index_of("{\"digest\": \"sha256:" SUM_A "\", \"size\": -1}", NULL, "x86_64", sum),
	    -EBADMSG);
	assert_says("no size");
}

#define CONFIG_TYPE "application/vnd.oci.image.config.v1+json"
#define LAYER "application/vnd.oci.image.layer.v1.tar+zstd"

static int manifest_of(const char *text, size_t *layers)
{
	struct arena a = {0};
	struct oci_manifest m = {0};

	err = (struct ng_err){0};
	int rc = oci_read_manifest(&a, text, strlen(text), &m, &err);
	*layers = m.nlayers;
	arena_done(&a);
	return rc;
}

static void manifests_list_layers(void **arg)
{
	size_t n;

	(void)arg;
	assert_int_equal(
	    manifest_of("{\"config\": {" BLOB(CONFIG_TYPE, SUM_A) "}, \"layers\": [{" BLOB(
			    LAYER, SUM_A) "}, {" BLOB(LAYER, SUM_B) "}]}",
			&n),
	    0);
	assert_int_equal(n, 2);
	assert_int_equal(
	    manifest_of("{\"config\": {" BLOB(CONFIG_TYPE, SUM_A) "}, \"layers\": []}", &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(manifest_of("{\"config\": {" BLOB("application/x", SUM_A) "}}", &n),
			 -EBADMSG);
	assert_says("it is no image");
	assert_int_equal(
	    manifest_of("{\"config\": {" BLOB(CONFIG_TYPE, SUM_A) "}, \"layers\": [{" BLOB(
			    LAYER "+encrypted", SUM_A) "}]}",
			&n),
	    -EBADMSG);
	assert_says("+encrypted");
	assert_int_equal(manifest_of("[]", &n), -EBADMSG);
	assert_int_equal(manifest_of("{", &n), -EBADMSG);
	assert_says("not JSON at byte 1");
}

/* What a config means for a jail, and what it cannot say, in brackets. */
static char *defaults_of(const char *config)
{
	struct arena a = {0};
	autodone(oci_config_done) struct oci_config c = {0};
	autodone(strv_done) struct strv left = {0};
	struct str out = {0};
	char *text = arena_printf(
	    &a, "{\"os\": \"linux\", \"architecture\": \"amd64\", \"config\": %s}", config);

	err = (struct ng_err){0};
	if (oci_read_config(&a, text, strlen(text), "x86_64", &c, &err) < 0)
		fail_msg("%s", err.text);
	oci_defaults(&out, &c, &left);
	for (size_t i = 0; i < left.n; i++)
		str_addf(&out, "[%s]", left.v[i]);
	arena_done(&a);
	return str_take(&out);
}

static void a_config_becomes_a_block(void **arg)
{
	static const char *const cases[][2] = {
	    {"{}", ""},
	    {"{\"Cmd\": [\"nginx\", \"-g\", \"daemon off;\"]}",
	     "service=exec nginx -g 'daemon off;'\n"},
	    {"{\"Entrypoint\": [\"/entry.sh\"], \"Cmd\": [\"--port=80\"]}",
	     "service=/entry.sh --port=80\n"},
	    {"{\"Cmd\": [\"sh\", \"-c\", \"echo \\\"it's\\\" $A\"]}",
	     "service=exec sh -c 'echo \"it'\\''s\" $A'\n"},
	    {"{\"Cmd\": [\"a\", \"\"]}", "service=exec a ''\n"},
	    {"{\"Cmd\": [\"a\\nb\"], \"Env\": [\"A=b c\", \"bare\", \"=x\", \"N=1\\n2\"]}",
	     "exec.env=A=b c\n[Cmd][N]"},
	    {"{\"User\": \"www\", \"WorkingDir\": \"/srv\"}",
	     "exec.jail_user=www\nexec.dir=/srv\n"},
	    {"{\"User\": \"0:0\", \"WorkingDir\": \"/\"}", ""},
	    {"{\"User\": \"root\", \"WorkingDir\": \"srv\"}", ""},
	    {"{\"User\": \"1000:50\"}", "exec.jail_user=1000:50\n"},
	    {"{\"Cmd\": null, \"Env\": null, \"User\": null}", ""},
	};

	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autofree char *got = defaults_of(cases[i][0]);
		assert_string_equal(got, cases[i][1]);
	}
}

static void a_config_is_for_a_machine(void **arg)
{
	struct arena a = {0};
	struct oci_config c;
	static const char arm[] = "{\"os\": \"linux\", \"architecture\": \"arm64\"}";
	static const char layers[] =
	    "{\"os\": \"linux\", \"architecture\": \"amd64\", \"rootfs\": {\"diff_ids\": "
	    "[\"sha256:" SUM_A "\", \"md5:1\"]}}";

	(void)arg;
	assert_int_equal(oci_read_config(&a, arm, strlen(arm), "x86_64", &c, &err), -ENOEXEC);
	assert_says("for linux on arm64, not for Linux on amd64");
	assert_int_equal(oci_read_config(&a, layers, strlen(layers), "x86_64", &c, &err), -EBADMSG);
	assert_says("\"md5:1\"");
	arena_done(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_index_names_one_image),
	    cmocka_unit_test(the_machine_decides),
	    cmocka_unit_test(sums_are_sums),
	    cmocka_unit_test(manifests_list_layers),
	    cmocka_unit_test(a_config_becomes_a_block),
	    cmocka_unit_test(a_config_is_for_a_machine),
	};
	return cmocka_run_group_tests_name("store/oci", tests, NULL, NULL);
}
