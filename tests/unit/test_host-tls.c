/* The host's key and certificate, below a root of its own. */
#include "storebox.h"

#include <sys/wait.h>
#include "host/tls.h"

#define KEY HOST_TLS "/key.pem"
#define OWN HOST_TLS "/own.pem"
#define CHAIN HOST_TLS "/fullchain.pem"
#define CA HOST_TLS "/ca.pem"

static struct host fixture(void)
{
	return (struct host){
	    .root = box, .domain = (char *)"example.org", .hostname = (char *)"mail.example.org"};
}

static char *text_of(const char *name)
{
	char *text = NULL;
	size_t len;

	assert_int_equal(file_read(in_box("%s", name), &text, &len), 0);
	return text;
}

static void make_own(const struct host *h)
{
	struct ng_err err = {0};

	if (tls_make_own(h, &err) < 0)
		fail_msg("%s", err.text);
}

static void test_own(void **arg)
{
	struct host h = fixture();
	struct cert c autodone(cert_done) = {0};
	struct ng_err err = {0};

	(void)arg;
	make_own(&h);
	autofree char *own = text_of(OWN), *key = text_of(KEY);
	assert_text(in_box(CHAIN), own);
	assert_text(in_box(CA), own);
	assert_int_equal(stat_of(in_box(KEY)).st_mode & 07777, 0600);
	assert_int_equal(stat_of(in_box(CHAIN)).st_mode & 07777, 0644);
	assert_int_equal(tls_read(&h, &c, &err), 0);
	assert_true(c.own);
	assert_true(cert_covers(&c, "mail.example.org"));
	assert_true(cert_covers(&c, "mta-sts.example.org"));
	assert_int_equal(cert_of_key(in_box(CHAIN), in_box(KEY), &err), 1);
	/* Made once. */
	make_own(&h);
	assert_text(in_box(OWN), own);
	assert_text(in_box(KEY), key);
}

/* Killed between any two files, the next call makes what is missing. */
static void test_own_cut_short(void **arg)
{
	static const char *const names[] = {OWN, CHAIN, CA};
	struct host h = fixture();

	(void)arg;
	make_own(&h);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		assert_int_equal(unlink(in_box("%s", names[i])), 0);
		make_own(&h);
		autofree char *own = text_of(OWN);
		assert_text(in_box(CA), own);
		if (!str_eq(names[i], OWN))
			assert_text(in_box(CHAIN), own);
	}
}

static void test_own_of_another_name_or_key(void **arg)
{
	struct host h = fixture();
	struct cert c autodone(cert_done) = {0};
	struct ng_err err = {0};

	(void)arg;
	make_own(&h);
	h.hostname = (char *)"mx.example.org";
	make_own(&h);
	assert_int_equal(tls_read(&h, &c, &err), 0);
	assert_true(cert_covers(&c, "mx.example.org"));
	assert_int_equal(unlink(in_box(KEY)), 0);
	make_own(&h);
	assert_int_equal(cert_of_key(in_box(CHAIN), in_box(KEY), &err), 1);
	autofree char *own = text_of(OWN);
	assert_text(in_box(CHAIN), own);
	assert_text(in_box(CA), own);
}

/* ---- an authority ---- */

static void openssl(char *const *argv)
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		execvp("openssl", argv);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void make_authority(void)
{
	char *argv[] = {(char *)"openssl",
			(char *)"req",
			(char *)"-x509",
			(char *)"-newkey",
			(char *)"ec",
			(char *)"-pkeyopt",
			(char *)"ec_paramgen_curve:P-256",
			(char *)"-nodes",
			(char *)"-subj",
			(char *)"/CN=CA",
			(char *)"-keyout",
			(char *)in_box("ca.key"),
			(char *)"-out",
			(char *)in_box("ca.crt"),
			NULL};
	openssl(argv);
}

/* As the authority would sign the request, for so many days. */
static char *sign(const struct host *h, const char *name, const char *days)
{
	struct strv names autodone(strv_done) = {0};
	struct str request autodone(str_done) = {0};
	struct ng_err err = {0};
	char *argv[] = {(char *)"openssl",
			(char *)"x509",
			(char *)"-req",
			(char *)"-in",
			(char *)in_box("request"),
			(char *)"-copy_extensions",
			(char *)"copy",
			(char *)"-days",
			(char *)days,
			(char *)"-CA",
			(char *)in_box("ca.crt"),
			(char *)"-CAkey",
			(char *)in_box("ca.key"),
			(char *)"-out",
			(char *)in_box("answer"),
			NULL};

	strv_add(&names, name);
	assert_int_equal(tls_request(h, &names, &request, &err), 0);
	assert_true(str_prefix(request.s, "-----BEGIN CERTIFICATE REQUEST-----\n"));
	put_file(in_box("request"), request.s);
	openssl(argv);
	return text_of("answer");
}

static void assert_refused(const struct host *h, const char *chain, const char *name,
			   const char *why)
{
	autofree char *before = text_of(CHAIN);
	struct strv names autodone(strv_done) = {0};
	struct ng_err err = {0};

	strv_add(&names, name);
	assert_true(tls_install(h, chain, &names, &err) < 0);
	assert_contains(err.text, why);
	assert_text(in_box(CHAIN), before);
	assert_false(exists(in_box(CHAIN ".new")));
}

static void test_install(void **arg)
{
	struct host h = fixture();
	struct strv names autodone(strv_done) = {0};
	struct ng_err err = {0};

	(void)arg;
	make_own(&h);
	make_authority();
	autofree char *good = sign(&h, "mail.example.org", "90");
	autofree char *other = sign(&h, "www.example.org", "90");
	autofree char *ended = sign(&h, "mail.example.org", "-1");
	assert_refused(&h, "no certificate\n", "mail.example.org", "openssl");
	assert_refused(&h, "", "mail.example.org", "openssl");
	assert_refused(&h, other, "mail.example.org", "it is not for mail.example.org");
	assert_refused(&h, ended, "mail.example.org", "it is not valid now");
	strv_add(&names, "mail.example.org");
	assert_int_equal(tls_install(&h, good, &names, &err), 0);
	assert_text(in_box(CHAIN), good);
	assert_int_equal(stat_of(in_box(CHAIN)).st_mode & 07777, 0644);
	assert_false(exists(in_box(CHAIN ".new")));
	/* It stays, and the web mail goes on believing what the services may still show. */
	make_own(&h);
	assert_text(in_box(CHAIN), good);
	autofree char *own = text_of(OWN);
	assert_text(in_box(CA), own);
	/* One for a key that is gone does not. */
	assert_int_equal(unlink(in_box(KEY)), 0);
	make_own(&h);
	assert_refused(&h, good, "mail.example.org", "it is of another key");
}

static void test_more_authorities(void **arg)
{
	struct host h = fixture();
	struct str more autodone(str_done) = {0}, both autodone(str_done) = {0};
	struct ng_err err = {0};

	(void)arg;
	assert_int_equal(tls_more_ca(&h, &more, &err), 0);
	assert_string_equal(str_text(&more), "");
	put_file(in_box("none"), "nothing\n");
	assert_true(tls_take_ca(&h, in_box("none"), &err) < 0);
	assert_contains(err.text, "holds no certificate");
	assert_true(tls_take_ca(&h, in_box("missing"), &err) == -ENOENT);
	assert_null(h.acme_ca);
	make_authority();
	assert_int_equal(tls_take_ca(&h, in_box("ca.crt"), &err), 0);
	autofree char *kept = h.acme_ca;
	assert_string_equal(kept, HOST_ETC "/acme/ca.pem");
	assert_int_equal(unlink(in_box("ca.crt")), 0);
	assert_int_equal(tls_more_ca(&h, &more, &err), 0);
	/* The web mail believes both. */
	make_own(&h);
	autofree char *own = text_of(OWN);
	str_addf(&both, "%s%s", own, more.s);
	assert_text(in_box(CA), both.s);
	assert_int_equal(unlink(in_box(HOST_ETC "/acme/ca.pem")), 0);
	assert_true(tls_make_own(&h, &err) < 0);
	assert_contains(err.text, "acme.ca in " HOST_CONF);
}

#define IN_BOX(f) cmocka_unit_test_setup_teardown(f, box_make, box_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_BOX(test_own),
	    IN_BOX(test_own_cut_short),
	    IN_BOX(test_own_of_another_name_or_key),
	    IN_BOX(test_install),
	    IN_BOX(test_more_authorities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
