/*
 * Times and sizes for people. Runs in smtpadm; reads the clock, nothing else.
 */
#include "show.h"

#include <stdio.h>
#include <time.h>

#include "io.h"

static void
put_span(char *to, size_t size, const char *before, uint64_t us)
{
	static const struct {
		uint64_t	seconds;
		char		unit;
	} units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };
	uint64_t seconds = us / 1000000;
	size_t i = 0;

	/* Two of a unit at least: 90 minutes are 90m, not 1h. */
	while (i < 3 && seconds < 2 * units[i].seconds)
		i++;
	snprintf(to, size, "%s%llu%c", before, (unsigned long long)(seconds / units[i].seconds), units[i].unit);
}

char *
show_age(char *to, uint64_t us)
{
	uint64_t now = io_now_us();

	put_span(to, 40, "", now > us ? now - us : 0);
	return to;
}

char *
show_time(char *to, enum time_style style, uint64_t us)
{
	time_t t = (time_t)(us / 1000000);
	uint64_t now = io_now_us();
	struct tm tm;

	if (style == TIME_REL) {
		put_span(to, 40, us > now ? "in " : "", us > now ? us - now : now - us);
		return to;
	}
	if (style == TIME_UTC) {
		if (gmtime_r(&t, &tm) == NULL || strftime(to, 40, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
			snprintf(to, 40, "-");
	} else if (localtime_r(&t, &tm) == NULL || strftime(to, 40, "%Y-%m-%d %H:%M:%S", &tm) == 0) {
		snprintf(to, 40, "-");
	}
	return to;
}

char *
show_size(char *to, uint64_t octets)
{
	static const char units[] = "KMGT";
	double value = (double)octets / 1024;
	size_t i = 0;

	if (octets < 1024) {
		snprintf(to, 40, "%llu", (unsigned long long)octets);
		return to;
	}
	for (; value >= 1024 && i < 3; i++)
		value /= 1024;
	snprintf(to, 40, value < 10 ? "%.1f%c" : "%.0f%c", value, units[i]);
	return to;
}
