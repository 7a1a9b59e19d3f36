#include "cmd/progress.h"

static void add_bytes(struct str *out, double v)
{
	static const char units[] = "BKMGTPE";
	size_t unit = 0;

	for (; v >= 1023.95 && units[unit + 1]; unit++)
		v /= 1024;
	str_addf(out, unit ? "%.1f%c" : "%.0f%c", v, units[unit]);
}

static void add_time(struct str *out, uint64_t seconds)
{
	if (seconds >= 3600)
		str_addf(out, "%llu h %llu min left", (unsigned long long)seconds / 3600,
			 (unsigned long long)seconds / 60 % 60);
	else if (seconds >= 60)
		str_addf(out, "%llu min left", (unsigned long long)seconds / 60);
	else
		str_addf(out, "%llu s left", (unsigned long long)seconds);
}

void progress_text(struct str *out, const char *what, uint64_t done, uint64_t total, uint64_t ms)
{
	double rate = ms > 0 ? (double)done * 1000 / (double)ms : 0;

	str_addf(out, "%s: ", what);
	add_bytes(out, (double)done);
	if (total > 0) {
		str_add(out, " of ");
		add_bytes(out, (double)total);
	}
	/* The first moments tell nothing. */
	if (ms < 500 || done == 0)
		return;
	str_add(out, ", ");
	add_bytes(out, rate);
	str_add(out, "/s");
	if (total <= done)
		return;
	str_add(out, ", ");
	add_time(out, (uint64_t)((double)(total - done) / rate + 0.5));
}
