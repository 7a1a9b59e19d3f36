#include <dlfcn.h>
#include "base/own.h"
#include "store/archive-module.h"

/* Never unloaded: some of the libraries it brings do not like that. */
const void *archive_symbol(const char *symbol, struct ng_err *err)
{
	static void *handle;

	if (!handle) {
		autofree char *path = own_file("src/store", NG_LIBEXECDIR, ARCHIVE_MODULE);
		handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	}
	const void *found = handle ? dlsym(handle, symbol) : NULL;
	if (!found)
		err_set(err, ENOENT, "reading archives: %s", dlerror());
	return found;
}

const struct archive_module *archive_load(struct ng_err *err)
{
	return archive_symbol(ARCHIVE_SYMBOL, err);
}
