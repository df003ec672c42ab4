/*
 * What a mistyped setting or section of the configuration was meant to be. Pure; part of every program that reads the
 * configuration.
 */
#include "conf.h"

#include <stdio.h>
#include <string.h>

#include "str.h"

#define SECTIONS_MAX 64
#define SECTION_TEXT 32

/* Sections that bear a name of their own. */
static const char *const named[] = { "listener", "certificate", "route" };
#define NNAMED (sizeof(named) / sizeof(named[0]))

/* The octets of a setting's section, and its last word. */
static size_t
section_length(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot != NULL ? (size_t)(dot - name) : 0;
}

static const char *
last_word(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot != NULL ? dot + 1 : name;
}

/* "rcpts" for "recipients": its letters in their order. */
static bool
is_abbreviation(const char *word, const char *whole)
{
	if (strlen(word) < 3 || word[0] != whole[0])
		return false;
	for (; *word != 0 && *whole != 0; whole++)
		word += *word == *whole;
	return *word == 0;
}

const char *
conf_nearest(const char *name)
{
	const char *names[256];
	const struct conf_setting *s;
	size_t n, section = section_length(name);

	s = conf_settings(&n);
	n = n < 256 ? n : 256;
	for (size_t i = 0; i < n; i++)
		names[i] = s[i].name;
	/* The right word in the wrong section is nearer than any misspelling, and a shortened one nearer than another word. */
	for (size_t i = 0; i < n; i++)
		if (strcmp(last_word(name), last_word(names[i])) == 0)
			return names[i];
	for (size_t i = 0; i < n; i++)
		if (section_length(names[i]) == section && strncmp(names[i], name, section) == 0 &&
		    is_abbreviation(last_word(name), last_word(names[i])))
			return names[i];
	return str_nearest(name, names, n);
}

/* The sections of the table, then those with names. */
static size_t
list_sections(char texts[SECTIONS_MAX][SECTION_TEXT], const char *words[SECTIONS_MAX])
{
	const struct conf_setting *s;
	size_t n, count = 0;

	s = conf_settings(&n);
	for (size_t i = 0; i < n && count < SECTIONS_MAX - NNAMED; i++) {
		size_t len = section_length(s[i].name);

		if (len == 0 || (count != 0 && strlen(texts[count - 1]) == len && strncmp(texts[count - 1], s[i].name, len) == 0))
			continue;
		snprintf(texts[count], SECTION_TEXT, "%.*s", (int)len, s[i].name);
		words[count] = texts[count];
		count++;
	}
	for (size_t i = 0; i < NNAMED; i++)
		words[count++] = named[i];
	return count;
}

static void
explain_section(char *to, size_t size, const char *section, const char *const *words, size_t n)
{
	size_t len = strcspn(section, " "), used;
	const char *name = section + len + strspn(section + len, " "), *nearest;
	char first[128];

	snprintf(first, sizeof(first), "%.*s", (int)len, section);
	nearest = str_nearest(first, words, n);
	for (size_t i = 0; i < NNAMED; i++) {
		if (nearest != NULL && strcmp(nearest, named[i]) == 0) {
			snprintf(to, size, "there is no section [%.100s], did you mean [%s %.100s]?", section, nearest,
			    name[0] != 0 ? name : "NAME");
			return;
		}
	}
	if (nearest != NULL) {
		snprintf(to, size, "there is no section [%.100s], did you mean [%s]?", section, nearest);
		return;
	}
	used = (size_t)snprintf(to, size, "there is no section [%.100s]; there are", section);
	for (size_t i = 0; i < n && used < size; i++)
		used += (size_t)snprintf(to + used, size - used, " [%s%s]", words[i], i + NNAMED >= n ? " NAME" : "");
}

bool
conf_is_section(const char *section)
{
	char texts[SECTIONS_MAX][SECTION_TEXT];
	const char *words[SECTIONS_MAX];
	size_t n = list_sections(texts, words);

	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(words[i]);

		if (i + NNAMED < n ? strcmp(words[i], section) == 0 :
		    strncmp(words[i], section, len) == 0 && section[len] == ' ' && section[len + strspn(section + len, " ")] != 0)
			return true;
	}
	return section[0] == 0;
}

char *
conf_explain_unknown(char *to, size_t size, const char *section, const char *key)
{
	char texts[SECTIONS_MAX][SECTION_TEXT], name[256];
	const char *words[SECTIONS_MAX], *nearest;
	size_t n = list_sections(texts, words);
	bool is_known = section[0] == 0, lacks_name = false;

	for (size_t i = 0; i + NNAMED < n; i++)
		is_known = is_known || strcmp(words[i], section) == 0;
	for (size_t i = 0; i < NNAMED; i++)
		lacks_name = lacks_name || (strncmp(named[i], section, strlen(named[i])) == 0 &&
		    section[strlen(named[i]) + strspn(section + strlen(named[i]), " ")] == 0);
	snprintf(name, sizeof(name), "%.120s%s%.120s", section, section[0] != 0 ? "." : "", key);
	nearest = conf_nearest(name);
	/* A known key shows what was meant, whatever the section is called. */
	if (lacks_name || (!is_known && (nearest == NULL || strcmp(last_word(nearest), key) != 0)))
		explain_section(to, size, section, words, n);
	else
		snprintf(to, size, "unknown setting '%s'%s%s%s", name, nearest != NULL ? ", did you mean '" : "",
		    nearest != NULL ? nearest : "", nearest != NULL ? "'?" : "");
	return to;
}
