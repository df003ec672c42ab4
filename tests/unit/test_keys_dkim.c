/*
 * The text of DKIM signatures: the examples of RFC 6376 and RFC 8463, what may be signed, and the names of keys' files.
 */
#include <stdlib.h>
#include <string.h>

#include "base64.h"
#include "buf.h"
#include "dkim_fixture.h"
#include "err.h"
#include "message_relay.h"
#include "unit.h"

static void
relaxed_fields(void **state)
{
	static const struct {
		const char	*field, *relaxed;	/* NULL: refused */
	} rows[] = {
		{ "A: X\r\n", "a:X\r\n" },				/* RFC 6376, 3.4.5 */
		{ "B : Y\t\r\n\tZ  \r\n", "b:Y Z\r\n" },
		{ "SUBJect: AbC\r\n", "subject:AbC\r\n" },
		{ "S:\r\n", "s:\r\n" },
		{ "S: \t \r\n", "s:\r\n" },
		{ "S:\r\n a\r\n", "s:a\r\n" },
		{ "S: a\r\n \r\n\tb\r\n", "s:a b\r\n" },
		{ "S:  a  b\t\tc  \r\n", "s:a b c\r\n" },
		{ "S: \xc3\xa4 \xff\r\n", "s:\xc3\xa4 \xff\r\n" },
		{ "S: a", NULL },
		{ "S: a\r\nT: b\r\n", NULL },
		{ "S a\r\n", NULL },
		{ ": a\r\n", NULL },
		{ " S: a\r\n", NULL },
		{ "S: a\n", NULL },
		{ "S: a\rb\r\n", NULL },
		{ "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf b;
		int err;

		buf_init(&b, 1000);
		err = dkim_put_relaxed(&b, (const uint8_t *)rows[i].field, strlen(rows[i].field));
		check_row(i, (err == ERR_OK) == (rows[i].relaxed != NULL));
		if (rows[i].relaxed != NULL)
			check_row(i, b.len == strlen(rows[i].relaxed) && memcmp(b.data, rows[i].relaxed, b.len) == 0);
		else
			check_row(i, err == ERR_SYNTAX);
		buf_free(&b);
	}
}

/* RFC 8463, appendix A: keys, message and the two signatures, which have one value only. */
static const char joe[] =
    "From: Joe SixPack <joe@football.example.com>\r\n"
    "To: Suzie Q <suzie@shopping.example.net>\r\n"
    "Subject: Is dinner ready?\r\n"
    "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
    "Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n";
static const struct {
	enum dkim_algorithm	algorithm;
	const char		*field, *signature;
} examples[] = {
	{ DKIM_ED25519,
	    "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
	    " d=football.example.com; i=@football.example.com;\r\n"
	    " q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
	    " subject : date : message-id : from : subject : date;\r\n"
	    " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
	    " b=\r\n",
	    "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==" },
	{ DKIM_RSA,
	    "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"
	    " d=football.example.com; i=@football.example.com;\r\n"
	    " q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n"
	    " date : message-id : from : subject : date;\r\n"
	    " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
	    " b=\r\n",
	    "F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeef"
	    "Osk2JzdA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=" },
};

static void
examples_of_rfc_8463(void **state)
{
	char public[DKIM_PUBLIC_TEXT], text64[2048];

	(void)state;
	for (size_t i = 0; i < COUNT(examples); i++) {
		uint8_t signature[IPC_SIGNATURE_MAX];
		struct dkim_key k;
		struct buf text;
		size_t len;

		dkim_open_key(&k, examples[i].algorithm, "football.example.com", "brisbane");
		buf_init(&text, 65536);
		for (const char *p = joe, *end; *p != 0; p = end) {
			end = strchr(p, '\n') + 1;
			assert_int_equal(dkim_put_relaxed(&text, (const uint8_t *)p, (size_t)(end - p)), ERR_OK);
		}
		assert_int_equal(dkim_put_relaxed(&text, (const uint8_t *)examples[i].field, strlen(examples[i].field)), ERR_OK);
		assert_int_equal(dkim_sign(&k, text.data, text.len - 2, signature, &len), ERR_OK);
		base64_encode(text64, signature, len);
		assert_string_equal(text64, examples[i].signature);
		assert_true(dkim_verify(&k, text.data, text.len - 2, signature, len));
		text.data[5] ^= 1;
		assert_false(dkim_verify(&k, text.data, text.len - 2, signature, len));
		assert_int_equal(dkim_put_public(public, &k), ERR_OK);
		if (k.name.algorithm == DKIM_ED25519)
			assert_string_equal(public, dkim_ed25519_public);
		buf_free(&text);
		dkim_key_release(&k);
	}
}

static void
what_may_be_signed(void **state)
{
	(void)state;
	for (size_t i = 0; i < dkim_judged_count; i++) {
		struct ipc_dkim_sign m = dkim_ask(dkim_judged[i].domain, dkim_judged[i].fields);

		check_row(i, dkim_judge(&m) == dkim_judged[i].err);
		/* Cut anywhere it is refused, but where a whole field ends. */
		for (size_t cut = 0; dkim_judged[i].err == ERR_OK && cut < m.fields_len; cut++) {
			struct ipc_dkim_sign part = m;
			uint8_t *copy = malloc(cut + 1);

			assert_non_null(copy);
			memcpy(copy, m.fields, cut);
			part.fields = copy;
			part.fields_len = cut;
			check_row(i, dkim_judge(&part) != ERR_OK || (cut > 2 && m.fields[cut - 1] == '\n'));
			free(copy);
		}
	}
}

/* The value of one tag without its blanks; "" for none. */
static const char *
tag(const struct buf *header, const char *name)
{
	static char text[16384], wanted[16];
	size_t n = 0;
	char *found;

	for (size_t i = 0; i < header->len; i++)
		if (strchr(" \t\r\n", header->data[i]) == NULL)
			text[n++] = (char)header->data[i];
	text[n] = 0;
	snprintf(wanted, sizeof(wanted), ";%s=", name);
	if ((found = strstr(text, wanted)) == NULL)
		return "";
	found += strlen(wanted);
	found[strcspn(found, ";")] = 0;
	return found;
}

static void
composed_field(void **state)
{
	struct ipc_dkim_sign m = dkim_ask("example.org", "To: b@example.net\r\nFrom: a@example.org\r\nTO: c\r\n\td\r\nReferences: <1>\r\n");
	static const uint8_t signature[256] = "of RSA";
	struct buf header, text;
	size_t line = 0;

	(void)state;
	buf_init(&header, RELAY_SIGNATURES_MAX);
	buf_init(&text, 65536);
	assert_int_equal(dkim_judge(&m), ERR_OK);
	assert_int_equal(dkim_compose(&m, "sel", DKIM_RSA, 1700000000, &header, &text), ERR_OK);
	assert_int_equal(buf_put_nul(&text), ERR_OK);
	assert_string_equal((char *)text.data, "references:<1>\r\nto:c d\r\nfrom:a@example.org\r\nto:b@example.net\r\n"
	    "dkim-signature:v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=sel; t=1700000000; "
	    "h=References:TO:From:To:To:From; bh=aGhoaGhoaGhoaGhoaGhoaGhoaGhoaGhoaGhoaGhoaGg=; b=");
	assert_int_equal(dkim_finish(&header, signature, sizeof(signature)), ERR_OK);
	assert_memory_equal(header.data, "DKIM-Signature: v=1;", 20);
	assert_string_equal(tag(&header, "d"), "example.org");
	assert_string_equal(tag(&header, "h"), "References:TO:From:To:To:From");
	assert_int_equal(strlen(tag(&header, "b")), 344);
	for (size_t i = 0; i < header.len; i++) {
		line = header.data[i] == '\n' ? 0 : line + 1;
		assert_true(line <= 78);
		assert_true(header.data[i] != '\n' || (i > 0 && header.data[i - 1] == '\r'));
		assert_true(header.data[i] != '\n' || i == header.len - 1 || header.data[i + 1] == '\t');
	}
	buf_free(&header);
	buf_free(&text);
}

/* As many fields as there may be, and a header as long as there may be: it fits, or it is said. */
static void
longest_fields(void **state)
{
	static char fields[DKIM_FIELDS_MAX + 1];
	struct buf header, text;
	struct ipc_dkim_sign m;
	size_t n;

	(void)state;
	n = (size_t)snprintf(fields, sizeof(fields), "From: a@example.org\r\n");
	for (size_t i = 1; i < DKIM_FIELDS_COUNT_MAX; i++)
		n += (size_t)snprintf(fields + n, sizeof(fields) - n, "List-Unsubscribe-Post: %zu\r\n", i);
	m = dkim_ask("example.org", fields);
	assert_int_equal(dkim_judge(&m), ERR_OK);
	buf_init(&header, RELAY_SIGNATURES_MAX);
	buf_init(&text, DKIM_FIELDS_MAX + 2 * RELAY_SIGNATURES_MAX);
	assert_int_equal(dkim_compose(&m, "sel", DKIM_ED25519, 1700000000, &header, &text), ERR_OK);
	snprintf(fields + n, sizeof(fields) - n, "To: x\r\n");
	m = dkim_ask("example.org", fields);
	assert_int_equal(dkim_judge(&m), ERR_SYNTAX);
	n = (size_t)snprintf(fields, sizeof(fields), "From: a@example.org\r\nSubject: ");
	memset(fields + n, 's', DKIM_FIELDS_MAX - n - 2);
	snprintf(fields + DKIM_FIELDS_MAX - 2, 3, "\r\n");
	m = dkim_ask("example.org", fields);
	assert_int_equal(m.fields_len, DKIM_FIELDS_MAX);
	assert_int_equal(dkim_judge(&m), ERR_OK);
	buf_reset(&header);
	buf_reset(&text);
	assert_int_equal(dkim_compose(&m, "sel", DKIM_RSA, 1700000000, &header, &text), ERR_OK);
	buf_free(&header);
	buf_free(&text);
}

static void
names_of_files(void **state)
{
	static const struct {
		const char	*file, *domain, *selector;
	} rows[] = {
		{ "sel._domainkey.example.org.rsa.active.pem", "example.org", "sel" },
		{ "a.b-1._domainkey.x.ed25519.waiting.pem", "x", "a.b-1" },
		{ "s._domainkey.a.rsa.rsa.retired-20261122.pem", "a.rsa", "s" },
		{ "sel._domainkey.example.org.rsa.retired.pem", NULL, NULL },
		{ "sel._domainkey.example.org.rsa.active-20261122.pem", NULL, NULL },
		{ "sel._domainkey.example.org.rsa.retired-2026112.pem", NULL, NULL },
		{ "sel._domainkey.example.org.rsa.pem", NULL, NULL },
		{ "sel._domainkey.example.org.dsa.active.pem", NULL, NULL },
		{ "Sel._domainkey.example.org.rsa.active.pem", NULL, NULL },
		{ "._domainkey.example.org.rsa.active.pem", NULL, NULL },
		{ "sel._domainkey..rsa.active.pem", NULL, NULL },
		{ "sel._domainkey.-x.rsa.active.pem", NULL, NULL },
		{ "sel.example.org.rsa.active.pem", NULL, NULL },
		{ "a._domainkey.b._domainkey.c.rsa.active.pem", NULL, NULL },
		{ "new", NULL, NULL }, { "", NULL, NULL }, { ".", NULL, NULL }, { "pem", NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char again[NAME_MAX + 1];
		struct dkim_name n;

		if (rows[i].domain == NULL) {
			check_row(i, dkim_name_get(rows[i].file, &n) == ERR_SYNTAX);
			continue;
		}
		check_row(i, dkim_name_get(rows[i].file, &n) == ERR_OK);
		check_row(i, strcmp(n.domain, rows[i].domain) == 0 && strcmp(n.selector, rows[i].selector) == 0);
		check_row(i, dkim_name_put(again, &n) == ERR_OK && strcmp(again, rows[i].file) == 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(relaxed_fields),
		cmocka_unit_test(examples_of_rfc_8463),
		cmocka_unit_test(what_may_be_signed),
		cmocka_unit_test(composed_field),
		cmocka_unit_test(longest_fields),
		cmocka_unit_test(names_of_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
