#include "host/dkim.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#include "store/tools.h"

static int folder_of(const char *path, struct ng_err *err)
{
	struct str folder autodone(str_done) = {0};

	str_addn(&folder, path, (size_t)(strrchr(path, '/') - path));
	int rc = file_mkdirs(folder.s, 0755);
	return rc < 0 ? err_sys(err, rc, "%s", folder.s) : 0;
}

static char *key_path(const struct host *h, const char *domain)
{
	return host_path(h, HOST_ETC "/dkim/keys/%s.pem", domain);
}

int dkim_make_key(const struct host *h, const char *domain, struct ng_err *err)
{
	autofree char *path = key_path(h, domain);
	struct str key autodone(str_done) = {0};
	const char *const argv[] = {"openssl", "genrsa", "2048", NULL};

	if (access(path, F_OK) == 0)
		return 0;
	int rc = folder_of(path, err);
	if (rc == 0)
		rc = tools_run(NULL, argv, "openssl", &key, err);
	if (rc < 0)
		return rc;
	const char *pem = strstr(str_text(&key), "-----BEGIN");
	if (!pem)
		return err_set(err, EIO, "openssl genrsa gave no key");
	rc = file_create(path, pem, strlen(pem), 0600);
	return rc < 0 ? err_sys(err, rc, "%s", path) : 0;
}

int dkim_record(const struct host *h, const char *domain, char **out, struct ng_err *err)
{
	autofree char *path = key_path(h, domain);
	struct str pem autodone(str_done) = {0}, record = {0};
	const char *const argv[] = {"openssl", "pkey", "-in", path, "-pubout", NULL};
	bool inside = false;

	if (access(path, F_OK) < 0)
		return err_set(err, ENOENT, "%s has no key: newgate host domain add %s", domain,
			       domain);
	int rc = tools_run(NULL, argv, "openssl", &pem, err);
	if (rc < 0)
		return rc;
	str_add(&record, "v=DKIM1; k=rsa; p=");
	for (const char *p = str_text(&pem), *end; *p; p = *end ? end + 1 : end) {
		end = p + strcspn(p, "\n");
		if (strncmp(p, "-----", 5) == 0)
			inside = !inside;
		else if (inside)
			str_addn(&record, p, (size_t)(end - p));
	}
	*out = str_take(&record);
	return 0;
}
