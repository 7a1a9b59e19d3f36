#include "store/keep.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define PREFIX "auto-"
#define SHAPE "auto-00000000-0000" /* 0: any digit */

void keep_name(int64_t now, char name[static KEEP_NAME])
{
	struct tm tm = {0};

	localtime_r(&(time_t){now}, &tm);
	strftime(name, KEEP_NAME, PREFIX "%Y%m%d-%H%M", &tm);
}

bool keep_is_name(const char *name)
{
	static const char shape[] = SHAPE;

	if (strlen(name) != sizeof(shape) - 1)
		return false;
	for (size_t i = 0; shape[i]; i++)
		if (shape[i] == '0' ? !isdigit((unsigned char)name[i]) : name[i] != shape[i])
			return false;
	return true;
}

/* A number that is the same for all times of one unit, and greater for later ones. */
static int64_t unit_of(enum keep_period p, int64_t when)
{
	struct tm tm = {0};

	localtime_r(&(time_t){when}, &tm);
	int64_t day = (tm.tm_year * 366LL) + tm.tm_yday;
	switch (p) {
	case KEEP_HOURLY:
		/* Where clocks are set back an hour comes twice: both are one. */
		return day * 24 + tm.tm_hour;
	case KEEP_WEEKLY:
		/* Its Monday; mktime() mends days below 1. */
		tm.tm_mday -= (tm.tm_wday + 6) % 7;
		tm.tm_hour = 12;
		tm.tm_min = tm.tm_sec = 0;
		tm.tm_isdst = -1;
		return mktime(&tm) / 86400;
	case KEEP_MONTHLY:
		return tm.tm_year * 12LL + tm.tm_mon;
	default:
		return day;
	}
}

bool keep_due(const struct conf_keep *k, const int64_t *made, size_t n, int64_t now)
{
	for (int p = 0; p < KEEP_PERIODS; p++)
		if (k->n[p] > 0)
			return n == 0 || unit_of((enum keep_period)p, made[n - 1]) !=
					     unit_of((enum keep_period)p, now);
	return false;
}

void keep_choose(const struct conf_keep *k, const int64_t *made, size_t n, bool *stays)
{
	for (size_t i = 0; i < n; i++)
		stays[i] = false;
	for (int p = 0; p < KEEP_PERIODS; p++) {
		uint32_t left = k->n[p];
		int64_t last = INT64_MIN;
		for (size_t i = n; i-- > 0 && left > 0;) {
			int64_t unit = unit_of((enum keep_period)p, made[i]);
			if (unit == last)
				continue;
			last = unit;
			stays[i] = true;
			left--;
		}
	}
}
