/* What newgate host writes and reads, below a root of its own; no jail runs. */
#include "storebox.h"

#include <stdlib.h>
#include "host/dkim.h"
#include "host/files.h"
#include "host/owners.h"
#include "host/still.h"

static struct host fixture(void)
{
	return (struct host){.root = box,
			     .domain = (char *)"example.org",
			     .hostname = (char *)"mail.example.org",
			     .interface = (char *)"lo100",
			     .quota = (char *)"1G",
			     .spam = (char *)"opendkim",
			     .acme = (char *)"https://ca.example/directory"};
}

/* ---- names ---- */

static void test_domains(void **arg)
{
	static const char *const bad[] = {"",         "org",
					  ".",        "example.",
					  ".example", "a..b",
					  "-a.org",   "a-.org",
					  "a.b-",     "exa mple.org",
					  "a_b.c",    "a.org/x",
					  "..",       "ex\xc3\xa4mple.org",
					  "a.org\n"};
	const char *why = NULL;

	(void)arg;
	autofree char *small = host_domain("Mail.Example-1.ORG", &why);
	assert_string_equal(small, "mail.example-1.org");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		autofree char *got = host_domain(bad[i], &why);
		if (got)
			fail_msg("\"%s\" is taken for a domain", bad[i]);
		assert_contains(why, "is not a domain's name");
	}
	/* A label has 63 bytes at most, a name 253. */
	char label[70];
	memset(label, 'a', sizeof(label));
	memcpy(label + 63, ".org", 5);
	autofree char *longest = host_domain(label, &why);
	assert_non_null(longest);
	memcpy(label + 63, "a.org", 6);
	assert_null(host_domain(label, &why));
	struct str name autodone(str_done) = {0};
	for (int i = 0; i < 126; i++)
		str_add(&name, "a.");
	str_add(&name, "b");
	autofree char *most = host_domain(name.s, &why);
	assert_non_null(most);
	str_add(&name, "b");
	assert_null(host_domain(name.s, &why));
}

static void test_addresses(void **arg)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
	    {"alice", "NAME@DOMAIN"},
	    {"@example.org", "NAME@DOMAIN"},
	    {"alice@", "is not a domain's name"},
	    {"alice@org", "is not a domain's name"},
	    {"al ice@example.org", "has a byte"},
	    {"a:b@example.org", "has a byte"},
	    {"a,b@example.org", "has a byte"},
	    {"a@b@example.org", "has a byte"},
	    {"alice+work@example.org", "has a byte"},
	    {".alice@example.org", "a dot before"},
	    {"alice.@example.org", "a dot before"},
	    {"a123456789b123456789c123456789d123456789e123456789f123456789g1234@example.org",
	     "too long there"},
	};
	const char *why = NULL;

	(void)arg;
	autofree char *alice = host_address("Alice.B@Example.ORG", false, &why);
	assert_string_equal(alice, "alice.b@example.org");
	autofree char *all = host_address("@Example.org", true, &why);
	assert_string_equal(all, "@example.org");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		autofree char *got = host_address(bad[i].text, false, &why);
		if (got)
			fail_msg("\"%s\" is taken for an address", bad[i].text);
		assert_contains(why, bad[i].why);
	}
}

/* ---- settings ---- */

static void test_settings(void **arg)
{
	struct host h = fixture(), back autodone(host_settings_done) = {0};
	struct ng_err err = {0};

	(void)arg;
	assert_int_equal(host_settings_read(&back, box, &err), -ENOENT);
	assert_string_equal(err.text, "nothing is set up yet: newgate host init DOMAIN");
	h.address4 = (char *)"203.0.113.10";
	h.interface = NULL;
	assert_int_equal(host_settings_write(&h, &err), 0);
	assert_int_equal(stat_of(in_box(HOST_CONF)).st_mode & 07777, 0644);
	assert_int_equal(host_settings_read(&back, box, &err), 0);
	assert_string_equal(back.root, box);
	assert_string_equal(back.domain, "example.org");
	assert_string_equal(back.hostname, "mail.example.org");
	assert_string_equal(back.address4, "203.0.113.10");
	assert_null(back.address6);
	assert_string_equal(back.interface, "lo100");
	assert_string_equal(back.acme, "https://ca.example/directory");
	assert_null(back.contact);
	autofree char *path = host_path(&back, "/a/%s", "b");
	assert_string_equal(path, in_box("a/b"));
}

static int read_settings(const char *text, struct host *h, struct ng_err *err)
{
	put_dir(in_box("etc/newgate"));
	put_file(in_box(HOST_CONF), text);
	return host_settings_read(h, box, err);
}

static void test_settings_by_hand(void **arg)
{
	static const struct {
		const char *text, *fault;
	} bad[] = {
	    {"domain = a.org\n\nhostname mail.a.org\n",
	     HOST_CONF ":3: \"hostname mail.a.org\" is not \"key = value\""},
	    {"domian = a.org\n",
	     HOST_CONF ":1: unknown setting \"domian\" (did you mean \"domain\"?)"},
	    {"# nothing\nhostname = mail.a.org\n", HOST_CONF ": domain is not set"},
	    {"domain = a.org\nhostname =\n", HOST_CONF ": hostname is not set"},
	    {"domain = a.org\nhostname = b.org\nspam = rspamb",
	     HOST_CONF ": spam = rspamb: opendkim or rspamd"},
	};
	struct host h autodone(host_settings_done) = {0};
	struct ng_err err = {0};

	(void)arg;
	assert_int_equal(read_settings("  domain=a.org\r\n# quota = 5M\n\thostname  =  mail.a.org "
				       "\ndomain = b.org\nacme = https://ca/?x=y",
				       &h, &err),
			 0);
	assert_string_equal(h.domain, "b.org");
	assert_string_equal(h.hostname, "mail.a.org");
	assert_string_equal(h.quota, "1G");
	assert_string_equal(h.spam, "opendkim");
	assert_string_equal(h.acme, "https://ca/?x=y");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct host none autodone(host_settings_done) = {0};
		struct ng_err fault = {0};

		assert_int_equal(read_settings(bad[i].text, &none, &fault), -EINVAL);
		assert_string_equal(fault.text, bad[i].fault);
	}
}

/* ---- lists ---- */

static void test_lists(void **arg)
{
	struct host h = fixture();
	struct host_lists l autodone(host_lists_done) = {0}, again autodone(host_lists_done) = {0};
	struct ng_err err = {0};
	autofree char *key = NULL;
	const char *rest;
	size_t i = 0;

	(void)arg;
	assert_int_equal(host_lists_read(&h, &l, &err), 0);
	assert_int_equal(host_entry(&l, LIST_DOMAINS, "example.org"), -1);
	put_dir(in_box(HOST_ETC));
	put_file(in_box(HOST_ETC "/aliases"), "# who gets what\n"
					      "info@example.org  alice@example.org\n"
					      "\n"
					      "#old@example.org bob@example.org\n"
					      "sales@example.org\tbob@example.org, x@y.org");
	assert_int_equal(host_lists_read(&h, &again, &err), 0);
	assert_true(host_next(&again, LIST_ALIASES, &i, &key, &rest));
	assert_string_equal(key, "info@example.org");
	assert_string_equal(rest, "alice@example.org");
	assert_true(host_next(&again, LIST_ALIASES, &i, &key, &rest));
	assert_string_equal(key, "sales@example.org");
	assert_string_equal(rest, "bob@example.org, x@y.org");
	assert_false(host_next(&again, LIST_ALIASES, &i, &key, &rest));
	assert_int_equal(host_entry(&again, LIST_ALIASES, "sales@example.org"), 4);
	assert_int_equal(host_entry(&again, LIST_ALIASES, "sales@example.or"), -1);
	assert_int_equal(host_entry(&again, LIST_ALIASES, "#old@example.org"), -1);

	/* What is changed stays at its place, between the comments. */
	host_set(&again, LIST_ALIASES, "info@example.org", "info@example.org bob@example.org");
	host_set(&again, LIST_ALIASES, "new@example.org", "new@example.org a@b.org");
	host_unset(&again, LIST_ALIASES, host_entry(&again, LIST_ALIASES, "sales@example.org"));
	assert_int_equal(host_lists_write(&h, &again, LIST_ALIASES, &err), 0);
	assert_text(in_box(HOST_ETC "/aliases"), "# who gets what\n"
						 "info@example.org bob@example.org\n"
						 "\n"
						 "#old@example.org bob@example.org\n"
						 "new@example.org a@b.org\n");
	assert_false(exists(in_box(HOST_ETC "/domains")));
}

static void test_users(void **arg)
{
	struct host h = fixture();
	struct host_lists l autodone(host_lists_done) = {0};
	struct ng_err err = {0};
	autofree char *key = NULL, *hash = NULL, *quota = NULL, *none = NULL, *same = NULL;
	const char *rest;
	size_t i = 0;

	(void)arg;
	autofree char *line = host_user_line("a@b.org", "{ARGON2ID}$argon2id$v=19$x", "2M");
	assert_string_equal(line, "a@b.org:{ARGON2ID}$argon2id$v=19$x::::::"
				  "userdb_quota_rule=*:storage=2M");
	host_set(&l, LIST_USERS, "a@b.org", line);
	assert_true(host_next(&l, LIST_USERS, &i, &key, &rest));
	assert_string_equal(key, "a@b.org");
	host_user_parse(rest, &hash, &quota);
	assert_string_equal(hash, "{ARGON2ID}$argon2id$v=19$x");
	assert_string_equal(quota, "2M");
	autofree char *other =
	    host_user_changed("a@b.org:{X}y::::/home::userdb_mail=z", "{N}n", "3M");
	assert_string_equal(other,
			    "a@b.org:{N}n::::/home::userdb_mail=z userdb_quota_rule=*:storage=3M");
	autofree char *again = host_user_changed(other, NULL, "4M");
	assert_string_equal(again,
			    "a@b.org:{N}n::::/home::userdb_mail=z userdb_quota_rule=*:storage=4M");
	autofree char *bare = host_user_changed("a@b.org:{X}y", NULL, "4M");
	assert_string_equal(bare, "a@b.org:{X}y::::::userdb_quota_rule=*:storage=4M");
	autofree char *plain = host_user_line("a@b.org", hash, NULL);
	host_user_parse(strchr(plain, ':') + 1, &same, &none);
	assert_string_equal(same, hash);
	assert_null(none);
	/* Nobody but root reads the hashes. */
	assert_int_equal(host_lists_write(&h, &l, LIST_USERS, &err), 0);
	assert_int_equal(stat_of(in_box(HOST_ETC "/dovecot/users")).st_mode & 07777, 0600);
}

static void test_proxies(void **arg)
{
	struct host_lists l autodone(host_lists_done) = {0};
	struct strv to autodone(strv_done) = {0};

	(void)arg;
	host_set(&l, LIST_SITES, "a.org", "a.org static");
	host_set(&l, LIST_SITES, "b.org", "b.org proxy app 8080");
	host_set(&l, LIST_SITES, "c.org", "c.org proxy app 8080");
	host_set(&l, LIST_SITES, "d.org", "d.org proxy app 81");
	host_set(&l, LIST_SITES, "e.org", "e.org proxy app");
	host_proxies(&l, &to);
	assert_int_equal(to.n, 2);
	assert_string_equal(to.v[0], "app tcp 8080");
	assert_string_equal(to.v[1], "app tcp 81");
}

/* ---- tables ---- */

static void test_tables(void **arg)
{
	struct host h = fixture();
	struct host_lists l autodone(host_lists_done) = {0};
	struct ng_err err = {0};

	(void)arg;
	host_set(&l, LIST_DOMAINS, "example.org", "example.org");
	host_set(&l, LIST_DOMAINS, "b.org", "b.org # since May");
	host_set(&l, LIST_USERS, "alice@example.org", "alice@example.org:x::::::");
	host_set(&l, LIST_USERS, "bob@example.org", "bob@example.org:y::::::");
	host_set(&l, LIST_ALIASES, "info@b.org", "info@b.org alice@example.org, x@y.net");
	assert_int_equal(host_tables_write(&h, &l, &err), 0);
	assert_text(in_box(HOST_ETC "/postfix/domains"), "example.org yes\nb.org yes\n");
	assert_text(in_box(HOST_ETC "/postfix/mailboxes"),
		    "alice@example.org yes\nbob@example.org yes\n");
	assert_text(in_box(HOST_ETC "/postfix/aliases"), "info@b.org alice@example.org, x@y.net\n");
	assert_text(in_box(HOST_ETC "/postfix/senders"),
		    "alice@example.org alice@example.org\nbob@example.org bob@example.org\n"
		    "info@b.org alice@example.org, x@y.net\n");
	assert_text(in_box(HOST_ETC "/postfix/local"), "");
	assert_text(in_box(HOST_ETC "/dkim/keytable"),
		    "ng._domainkey.example.org example.org:ng:/run/keys/example.org.pem\n"
		    "ng._domainkey.b.org b.org:ng:/run/keys/b.org.pem\n");
	assert_text(in_box(HOST_ETC "/dkim/signingtable"),
		    "*@example.org ng._domainkey.example.org\n"
		    "*@b.org ng._domainkey.b.org\n");
	assert_int_equal(stat_of(in_box(HOST_ETC "/postfix/aliases")).st_mode & 07777, 0644);

	/* An alias for all that is left leaves the users their mail. */
	host_set(&l, LIST_ALIASES, "@example.org", "@example.org alice@example.org");
	assert_int_equal(host_tables_write(&h, &l, &err), 0);
	assert_text(in_box(HOST_ETC "/postfix/aliases"),
		    "alice@example.org alice@example.org\nbob@example.org bob@example.org\n"
		    "info@b.org alice@example.org, x@y.net\n@example.org alice@example.org\n");
}

/* ---- files ---- */

static void test_fill(void **arg)
{
	static const char *const pairs[] = {"A", "one", "AB", "two@A@", "NONE", "", NULL};
	struct str out autodone(str_done) = {0};

	(void)arg;
	host_fill(&out, "@A@ @AB@ x@NONE@y @C@ @@A@ a@b.org @A @", pairs);
	assert_string_equal(out.s, "one two@A@ xy @C@ @one a@b.org @A @");
}

static struct host_file *file_of(struct host_files *f, const char *path)
{
	for (size_t i = 0; i < f->n; i++)
		if (str_eq(f->v[i].path, path))
			return &f->v[i];
	return NULL;
}

/* Plans and writes; the state in which a file was found. */
static enum host_file_state written(const struct host *h, const struct host_lists *l,
				    const char *path, size_t *kept)
{
	struct host_files f autodone(host_files_done) = {0};
	struct ng_err err = {0};

	assert_int_equal(host_files_plan(h, l, &f, &err), 0);
	assert_int_equal(host_files_write(h, &f, kept, &err), 0);
	assert_non_null(file_of(&f, path));
	return file_of(&f, path)->state;
}

#define MAIN_CF HOST_ETC "/postfix/main.cf"
#define MADE HOST_DATA "/made"

static void test_files(void **arg)
{
	struct host h = fixture();
	struct host_lists l autodone(host_lists_done) = {0};
	size_t kept;

	(void)arg;
	assert_int_equal(written(&h, &l, MAIN_CF, &kept), FILE_NEW);
	assert_int_equal(kept, 0);
	assert_int_equal(stat_of(in_box(HOST_ETC "/postfix/start")).st_mode & 07777, 0755);
	assert_int_equal(stat_of(in_box(MAIN_CF)).st_mode & 07777, 0644);
	assert_false(exists(in_box(HOST_ETC "/postfix/template")));
	assert_int_equal(written(&h, &l, MAIN_CF, &kept), FILE_SAME);

	/* Other settings. */
	h.hostname = (char *)"mx.example.org";
	assert_int_equal(written(&h, &l, MAIN_CF, &kept), FILE_OLDER);
	autofree char *text = NULL;
	size_t len;
	assert_int_equal(file_read(in_box(MAIN_CF), &text, &len), 0);
	assert_contains(text, "mx.example.org");
	assert_text(in_box(MADE MAIN_CF), text);

	/* What somebody wrote is kept, whatever else changes. */
	put_file(in_box(MAIN_CF), "mine\n");
	h.hostname = (char *)"mail.example.org";
	assert_int_equal(written(&h, &l, MAIN_CF, &kept), FILE_USERS);
	assert_int_equal(kept, 1);
	assert_text(in_box(MAIN_CF), "mine\n");

	/* Who deletes it gets it anew. */
	assert_int_equal(unlink(in_box(MAIN_CF)), 0);
	assert_int_equal(written(&h, &l, MAIN_CF, &kept), FILE_NEW);
	assert_int_equal(kept, 0);
	assert_int_equal(written(&h, &l, MAIN_CF, &kept), FILE_SAME);
}

/* Killed between a file and its copy: the next call finds the file as it would be made, and from
 * then on it is known as made. */
static void test_files_cut_short(void **arg)
{
	struct host h = fixture();
	struct host_lists l autodone(host_lists_done) = {0};
	autofree char *text = NULL;
	size_t kept, len;

	(void)arg;
	assert_int_equal(written(&h, &l, MAIN_CF, &kept), FILE_NEW);
	assert_int_equal(file_read(in_box(MAIN_CF), &text, &len), 0);
	assert_int_equal(unlink(in_box(MADE MAIN_CF)), 0);
	assert_int_equal(written(&h, &l, MAIN_CF, &kept), FILE_SAME);
	assert_text(in_box(MADE MAIN_CF), text);
	put_file(in_box(MADE MAIN_CF), "of an earlier version\n");
	assert_int_equal(written(&h, &l, MAIN_CF, &kept), FILE_SAME);
	h.hostname = (char *)"mx.example.org";
	assert_int_equal(written(&h, &l, MAIN_CF, &kept), FILE_OLDER);
	/* Nothing tells that this one is not the user's. */
	assert_int_equal(unlink(in_box(MADE MAIN_CF)), 0);
	h.hostname = (char *)"mail.example.org";
	assert_int_equal(written(&h, &l, MAIN_CF, &kept), FILE_USERS);
}

static void test_sites(void **arg)
{
	struct host h = fixture();
	struct host_lists l autodone(host_lists_done) = {0};
	struct host_files f autodone(host_files_done) = {0}, g autodone(host_files_done) = {0};
	struct ng_err err = {0};

	(void)arg;
	host_set(&l, LIST_SITES, "www.example.org", "www.example.org static");
	host_set(&l, LIST_SITES, "app.example.org", "app.example.org proxy app 8080");
	assert_int_equal(host_files_plan(&h, &l, &f, &err), 0);
	struct host_file *files = file_of(&f, HOST_SITES "/www.example.org.conf");
	struct host_file *proxy = file_of(&f, HOST_SITES "/app.example.org.conf");
	assert_non_null(files);
	assert_non_null(proxy);
	assert_contains(files->text, "root /srv/sites/www.example.org;");
	assert_contains(files->text, "ssl_certificate /etc/tls/fullchain.pem;");
	assert_contains(proxy->text, "proxy_pass http://app:8080;");
	assert_contains(file_of(&f, HOST_JAILS)->text, "\tallow.connect += \"app tcp 8080\";\n}");
	/* Its own certificate once it has one. */
	put_dir(in_box(HOST_ETC "/tls/www.example.org"));
	put_file(in_box(HOST_ETC "/tls/www.example.org/fullchain.pem"), "");
	assert_int_equal(host_files_plan(&h, &l, &g, &err), 0);
	files = file_of(&g, HOST_SITES "/www.example.org.conf");
	assert_contains(files->text, "ssl_certificate /etc/tls/www.example.org/fullchain.pem;");
}

/* No "@NAME@" is left anywhere, and every jail has what makes it. */
static void look_through(const struct host *h)
{
	struct host_lists l autodone(host_lists_done) = {0};
	struct host_files f autodone(host_files_done) = {0};
	struct ng_err err = {0};

	host_set(&l, LIST_SITES, "www.example.org", "www.example.org static");
	host_set(&l, LIST_SITES, "app.example.org", "app.example.org proxy app 8080");
	assert_int_equal(host_files_plan(h, &l, &f, &err), 0);
	for (size_t i = 0; i < f.n; i++) {
		assert_null(strstr(f.v[i].path, host_other_signer(h)));
		for (const char *p = f.v[i].text; (p = strchr(p, '@')); p++) {
			size_t n = strspn(p + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");

			if (n && p[n + 1] == '@')
				fail_msg("%s: \"%.*s\" is left", f.v[i].path, (int)n + 2, p);
		}
	}
	for (const char *const *jail = host_jails(h); *jail; jail++) {
		struct str block autodone(str_done) = {0};

		str_addf(&block, "\n%s {\n", *jail);
		assert_contains(file_of(&f, HOST_JAILS)->text, block.s);
		assert_non_null(host_template_packages(*jail));
		assert_true(str_prefix(host_template_script(*jail), "#!/bin/sh\n"));
	}
}

static void test_share(void **arg)
{
	struct host h = fixture();

	(void)arg;
	look_through(&h);
	assert_true(str_prefix(host_template_script("acme"), "#!/bin/sh\n"));
	assert_null(host_template_packages("none"));
	assert_null(host_template_script("none"));
	h.spam = (char *)"rspamd";
	look_through(&h);
}

/* ---- keys ---- */

static void test_keys(void **arg)
{
	struct host h = fixture();
	struct ng_err err = {0};
	autofree char *before = NULL, *record = NULL, *none = NULL;
	size_t len;

	(void)arg;
	assert_int_equal(dkim_record(&h, "example.org", &none, &err), -ENOENT);
	assert_string_equal(err.text,
			    "example.org has no key: newgate host domain add example.org");
	assert_int_equal(dkim_make_key(&h, "example.org", &err), 0);
	const char *path = in_box(HOST_ETC "/dkim/keys/example.org.pem");
	assert_int_equal(stat_of(path).st_mode & 07777, 0600);
	assert_int_equal(file_read(path, &before, &len), 0);
	assert_true(str_prefix(before, "-----BEGIN"));
	assert_int_equal(dkim_record(&h, "example.org", &record, &err), 0);
	/* 2048 bits of RSA as SubjectPublicKeyInfo, in base64: always that long. */
	assert_true(str_prefix(record, "v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"));
	assert_int_equal(strlen(record), strlen("v=DKIM1; k=rsa; p=") + 392);
	assert_null(strchr(record, '\n'));
	/* A key is never made twice. */
	assert_int_equal(dkim_make_key(&h, "example.org", &err), 0);
	assert_text(path, before);
}

#define IN_BOX(f) cmocka_unit_test_setup_teardown(f, box_make, box_remove)

/* ---- owners ---- */

static void test_owners(void **arg)
{
	struct owners old autodone(owners_done) = {0}, now autodone(owners_done) = {0},
			  again autodone(owners_done) = {0};
	struct str text autodone(str_done) = {0};
	struct ng_err err = {0};

	(void)arg;
	owners_add(&old, "dovecot", false,
		   "root:x:0:0:root:/root:/bin/sh\nvmail:x:5000:5000::/:/bin/sh\n"
		   "dovecot:x:101:103::/:/bin/sh\ndovenull:x:102:104::/:/bin/sh\n"
		   "half\n:x:7:7\nodd name:x:8:8\nmany:x:99999999999:1\n");
	owners_add(&old, "dovecot", true, "root:x:0:\ndovecot:x:103:\n");
	owners_add(&old, "web", false, "www-data:x:33:33::/:/bin/sh\n");
	assert_int_equal(old.n, 7);
	owners_format(&text, &old);
	assert_true(str_prefix(text.s, "dovecot user 0 root\ndovecot user 5000 vmail\n"));
	assert_int_equal(owners_parse(text.s, &again, &err), 0);
	assert_int_equal(again.n, old.n);
	/* They changed places. */
	owners_add(&now, "dovecot", false, "root:x:0:0\ndovecot:x:102:1\ndovenull:x:101:1\n");
	owners_add(&now, "dovecot", true, "dovecot:x:120:\n");
	assert_int_equal(owners_now(&again, &now, "dovecot", false, 101), 102);
	assert_int_equal(owners_now(&again, &now, "dovecot", false, 102), 101);
	assert_int_equal(owners_now(&again, &now, "dovecot", true, 103), 120);
	/* Nobody's there, nobody's here, another jail's. */
	assert_int_equal(owners_now(&again, &now, "dovecot", false, 777), 777);
	assert_int_equal(owners_now(&again, &now, "dovecot", false, 5000), 5000);
	assert_int_equal(owners_now(&again, &now, "web", false, 101), 101);
	static const char *const bad[] = {"dovecot user 0", "dovecot who 0 root",
					  "dovecot user -1 root", "dovecot user 0 root more"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct owners none autodone(owners_done) = {0};

		assert_int_equal(owners_parse(bad[i], &none, &err), -EBADMSG);
	}
}

static void test_open_connections(void **arg)
{
	static const char *const open
	    [] =
		{
		    "   1: 0264640A:0018 0364640A:9C5A 01 00000000:00000000 00:00000000 00000000  "
		    "101 0 7 1",
		    "  12: 0264640A:0018 0364640A:9C5A 08 00000000:00000000 00:00000000 00000000  "
		    "101 0 7 1",
		    "   3: 0000000000000000FFFF00000264640A:0018 "
		    "0000000000000000FFFF00000364640A:9C5A 01 00",
		},
	*const others[] = {
	    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid",
	    "   0: 00000000:0018 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 7 1",
	    "   1: 0264640A:0018 0364640A:9C5A 06 00000000:00000000 00:00000000 00000000  0 0 7 1",
	    "   1: 0264640A:9C5A 0364640A:0018 01 00000000:00000000 00:00000000 00000000  0 0 7 1",
	    "   1: 0264640A:00",
	    "",
	};

	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(open); i++)
		assert_true(still_is_open(open[i], 24));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_false(still_is_open(others[i], 24));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_domains),
	    cmocka_unit_test(test_addresses),
	    IN_BOX(test_settings),
	    IN_BOX(test_settings_by_hand),
	    IN_BOX(test_lists),
	    IN_BOX(test_users),
	    cmocka_unit_test(test_proxies),
	    IN_BOX(test_tables),
	    cmocka_unit_test(test_fill),
	    IN_BOX(test_files),
	    IN_BOX(test_files_cut_short),
	    IN_BOX(test_sites),
	    IN_BOX(test_share),
	    IN_BOX(test_keys),
	    cmocka_unit_test(test_owners),
	    cmocka_unit_test(test_open_connections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
