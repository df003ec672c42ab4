/*
 * Every message of ipc.h: sent, got and sent again it is the same octets; cut anywhere, with an octet more, or with a
 * value out of its range it is refused; and whatever one octet is changed to, it is refused or keeps its one encoding.
 */
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "ipc.h"
#include "message_rows.h"
#include "unit.h"

/* A row's datagram, in memory of exactly its length so that the sanitizer sees one octet too far. */
static uint8_t *
make(const struct message_row *r, size_t *len)
{
	static uint8_t data[IPC_SMALL_MAX];
	struct wire_out out;
	uint8_t *exact;

	wire_out_init(&out, data, sizeof(data));
	r->put(&out);
	assert_int_equal(wire_out_end(&out), ERR_OK);
	assert_non_null(exact = malloc(out.len));
	memcpy(exact, data, out.len);
	*len = out.len;
	return exact;
}

/* Gets what is behind the kind of a datagram and puts it again; ERR_OK only if that gave the same octets. */
static int
get(const struct message_row *r, const uint8_t *data, size_t len)
{
	static uint8_t copy[IPC_SMALL_MAX];
	struct wire_out out;
	struct wire_in in;
	int err;

	wire_in_init(&in, data + 2, len - 2);
	wire_out_init(&out, copy, sizeof(copy));
	if ((err = r->again(&in, &out)) != ERR_OK)
		return err;
	assert_int_equal(wire_out_end(&out), ERR_OK);
	if (out.len != len || memcmp(copy + 2, data + 2, len - 2) != 0) {
		print_error("%s: what was got is not what was sent\n", r->name);
		fail();
	}
	return ERR_OK;
}

static void
round_trips(void **state)
{
	(void)state;
	for (size_t i = 0; i < message_rows_count; i++) {
		size_t len;
		uint8_t *data = make(&message_rows[i], &len);

		check_row(i, (data[0] << 8 | data[1]) == (int)message_rows[i].kind);
		check_row(i, len == 2 + message_rows[i].len);
		check_row(i, get(&message_rows[i], data, len) == ERR_OK);
		free(data);
	}
}

static void
cut_at_every_octet(void **state)
{
	(void)state;
	for (size_t i = 0; i < message_rows_count; i++) {
		size_t len;
		uint8_t *data = make(&message_rows[i], &len);

		for (size_t cut = 2; cut < len; cut++) {
			uint8_t *part = malloc(cut);

			assert_non_null(part);
			memcpy(part, data, cut);
			check_row(i, get(&message_rows[i], part, cut) == ERR_SHORT);
			free(part);
		}
		free(data);
	}
}

static void
trailing_octets(void **state)
{
	(void)state;
	for (size_t i = 0; i < message_rows_count; i++) {
		for (size_t more = 1; more <= 3; more++) {
			size_t len;
			uint8_t *data = make(&message_rows[i], &len);

			assert_non_null(data = realloc(data, len + more));
			memset(data + len, more == 2 ? 0xff : 0, more);
			check_row(i, get(&message_rows[i], data, len + more) == ERR_TRAILING);
			free(data);
		}
	}
}

static void
values_out_of_range(void **state)
{
	(void)state;
	for (size_t i = 0; i < message_rows_count; i++) {
		size_t len;
		uint8_t *data = make(&message_rows[i], &len);

		for (size_t k = 0; k < COUNT(message_rows[i].bounded) && message_rows[i].bounded[k].max != 0; k++) {
			uint8_t *octet = &data[2 + message_rows[i].bounded[k].at], kept = *octet;

			check_row(i, kept <= message_rows[i].bounded[k].max);
			for (unsigned v = 0; v <= message_rows[i].bounded[k].max; v++) {
				*octet = (uint8_t)v;
				check_row(i, message_rows[i].kind == IPC_FROM || get(&message_rows[i], data, len) == ERR_OK);
			}
			for (unsigned v = message_rows[i].bounded[k].max + 1u; v <= 255; v++) {
				*octet = (uint8_t)v;
				check_row(i, get(&message_rows[i], data, len) != ERR_OK);
			}
			*octet = kept;
		}
		free(data);
	}
}

static void
every_octet_changed(void **state)
{
	(void)state;
	for (size_t i = 0; i < message_rows_count; i++) {
		size_t len;
		uint8_t *data = make(&message_rows[i], &len);

		for (size_t at = 2; at < len; at++) {
			uint8_t kept = data[at];

			for (unsigned v = 0; v <= 255; v++) {
				data[at] = (uint8_t)v;
				get(&message_rows[i], data, len);	/* refused, or the same octets again */
			}
			data[at] = kept;
		}
		free(data);
	}
}

/* Any octets of any length: no crash (the sanitizer build looks), and no message with something left over. */
static void
noise(void **state)
{
	uint32_t seed = 3;
	uint8_t data[96], copy[IPC_SMALL_MAX];

	(void)state;
	for (size_t i = 0; i < message_rows_count; i++) {
		for (size_t round = 0; round < 3000; round++) {
			struct wire_out out;
			struct wire_in in;
			size_t len = round % sizeof(data);

			for (size_t k = 0; k < len; k++) {
				seed = seed * 1664525 + 1013904223;
				data[k] = (uint8_t)((seed >> 28) < 8 ? seed >> 24 & 3 : seed >> 16);
			}
			wire_in_init(&in, data, len);
			wire_out_init(&out, copy, sizeof(copy));
			if (message_rows[i].again(&in, &out) == ERR_OK)
				check_row(i, wire_in_end(&in) == ERR_OK);
		}
	}
}

static void
message_octets(void **state)
{
	static uint8_t data[IPC_DATAGRAM_MAX], octets[IPC_DATA_MAX + 1];
	static const size_t sizes[] = { 1, 2, 1000, IPC_DATA_MAX - 1, IPC_DATA_MAX };
	struct wire_out out;
	struct wire_in in;
	const uint8_t *p;
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(octets); i++)
		octets[i] = (uint8_t)i;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		wire_out_init(&out, data, sizeof(data));
		ipc_put_data(&out, octets, sizes[i]);
		check_row(i, wire_out_end(&out) == ERR_OK && out.len == 2 + sizes[i]);
		wire_in_init(&in, data + 2, out.len - 2);
		check_row(i, ipc_get_data(&in, &p, &n) == ERR_OK && n == sizes[i] && memcmp(p, octets, n) == 0);
	}
	wire_in_init(&in, octets, 0);
	assert_int_equal(ipc_get_data(&in, &p, &n), ERR_SHORT);
	wire_in_init(&in, octets, IPC_DATA_MAX + 1);
	assert_int_equal(ipc_get_data(&in, &p, &n), ERR_SHORT);
}

/* Strings at their limits, addresses that must parse again, and the null reverse-path where it may be. */
static void
limits_of_fields(void **state)
{
	static uint8_t data[IPC_SMALL_MAX], big[IPC_CREDENTIAL_MAX + 1];
	struct ipc_login login = { .mechanism = MECHANISM_LOGIN };
	const struct ipc_recipient bob = {
		.address = { .text = "bob@example.net", .local_len = 3, .len = 15 }, .notify = DSN_NOTIFY_SUCCESS,
	};
	struct ipc_recipient recipient = bob;
	struct ipc_sender sender = { .size = 1 };
	struct ipc_sign sign = { .algorithm = SIGN_ECDSA_SHA256 };
	struct wire_out out;
	struct wire_in in;

	(void)state;
#define TRY(name, m, wanted) do {							\
	wire_out_init(&out, data, sizeof(data));					\
	ipc_put_##name(&out, &(m));							\
	assert_int_equal(wire_out_end(&out), ERR_OK);					\
	wire_in_init(&in, data + 2, out.len - 2);					\
	assert_int_equal(ipc_get_##name(&in, &(m)), (wanted));				\
} while (0)
	login.password = big;
	login.password_len = IPC_CREDENTIAL_MAX;
	TRY(login, login, ERR_OK);
	login.password = big;
	login.password_len = IPC_CREDENTIAL_MAX + 1;
	TRY(login, login, ERR_SHORT);
	sign.text = big;
	sign.text_len = IPC_SIGN_TEXT_MAX;
	TRY(sign, sign, ERR_OK);
	sign.text = big;
	sign.text_len = IPC_SIGN_TEXT_MAX + 1;
	TRY(sign, sign, ERR_SHORT);
	memset(recipient.orcpt, 'x', sizeof(recipient.orcpt) - 1);
	TRY(recipient, recipient, ERR_OK);
	assert_int_equal(strlen(recipient.orcpt), IPC_ORCPT_MAX - 1);

	addr_set_null(&sender.address);
	TRY(sender, sender, ERR_OK);
	assert_true(addr_is_null(&sender.address));
	addr_set_null(&recipient.address);
	TRY(recipient, recipient, ERR_SHORT);
	recipient = bob;
	memcpy(recipient.address.text, "bob example.net", 15);
	TRY(recipient, recipient, ERR_SHORT);
	recipient = bob;
	memcpy(recipient.address.text, "b\r\n@example.net", 15);
	TRY(recipient, recipient, ERR_SHORT);
#undef TRY
}

static int
init(void **state)
{
	(void)state;
	return message_rows_init();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trips),
		cmocka_unit_test(cut_at_every_octet),
		cmocka_unit_test(trailing_octets),
		cmocka_unit_test(values_out_of_range),
		cmocka_unit_test(every_octet_changed),
		cmocka_unit_test(noise),
		cmocka_unit_test(message_octets),
		cmocka_unit_test(limits_of_fields),
	};

	return cmocka_run_group_tests(tests, init, NULL);
}
