/* The readers of small texts: what they accept they print, and read again as the same. */
#include <string.h>

#include "base/ip.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/str.h"
#include "fuzz.h"

static void addresses(const char *text)
{
	struct ipnet net, again;
	char printed[IPNET_TEXT];
	if (ipnet_parse(text, &net) < 0)
		return;
	FUZZ_CHECK(net.len <= ip_bits(&net.addr));
	FUZZ_CHECK(ipnet_parse(ipnet_text(&net, printed), &again) == 0);
	FUZZ_CHECK(ip_eq(&net.addr, &again.addr) && net.len == again.len);
	struct ip first = ipnet_first(&net), last = ipnet_last(&net);
	FUZZ_CHECK(ip_cmp(&first, &net.addr) <= 0 && ip_cmp(&net.addr, &last) <= 0);
	FUZZ_CHECK(ipnet_has(&net, &first) && ipnet_has(&net, &last));
	struct ip behind = ip_next(&last);
	FUZZ_CHECK(net.len == 0 || !ipnet_has(&net, &behind));
}

static void numbers(const char *text)
{
	uint64_t u, bytes;
	int64_t i;
	if (num_u64(text, 0, UINT64_MAX, &u) == 0) {
		FUZZ_CHECK(text[strspn(text, "0123456789")] == '\0');
		FUZZ_CHECK(num_size(text, &bytes) == 0 && bytes == u);
		FUZZ_CHECK(u > INT64_MAX ||
			   (num_i64(text, 0, INT64_MAX, &i) == 0 && (uint64_t)i == u));
	} else if (num_i64(text, INT64_MIN, INT64_MAX, &i) == 0) {
		FUZZ_CHECK(text[0] == '-' && i <= 0);
	}
}

static void json(const char *text)
{
	autodone(str_done) struct str b = {0};
	str_add_json(&b, text);
	FUZZ_CHECK(b.len >= 2 && b.s[0] == '"' && b.s[b.len - 1] == '"');
	for (size_t k = 1; k < b.len - 1; k++) {
		FUZZ_CHECK((unsigned char)b.s[k] >= 0x20 && b.s[k] != '"');
		if (b.s[k] == '\\')
			k++;
	}
}

static void words(const char *text)
{
	static const char *const names[] = {"exec.start", "ip4.addr", "path"};
	const char *near = str_nearest(text, names, ARRAY_SIZE(names));
	FUZZ_CHECK(!near || strlen(text) <= 2 * strlen(near));
	autodone(strv_done) struct strv l = {0};
	strv_split(&l, text, ", ");
	for (size_t k = 0; k < l.n; k++)
		FUZZ_CHECK(l.v[k][0] && !strpbrk(l.v[k], ", "));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *text = mem_strndup((const char *)data, size);
	addresses(text);
	numbers(text);
	json(text);
	words(text);
	return 0;
}
