/*
 * The way to a session with a destination: mail exchangers and their addresses are asked for, put into order and tried one after the
 * other. Run by postern-relay. Invariant: an attempt ends exactly once, with a session or with a reason; of several reasons one
 * that may pass is preferred to one for good, since only all servers together can refuse for good.
 */
#include <string.h>
#include <sys/random.h>

#include "err.h"
#include "io.h"
#include "relay.h"
#include "str.h"

static const char loop_text[] = "the mail exchanger of the domain is this very server, which has no other route for it";

static uint32_t
pick(void)
{
	uint32_t n = 0;

	return getrandom(&n, sizeof(n), 0) == (ssize_t)sizeof(n) ? n : (uint32_t)io_now_us();
}

static const struct conf_route *
route_of(const struct attempt *a)
{
	return destination_route(&relay, a->destination);
}

static void
keep_reason(struct attempt *a, const struct ipc_finished *m)
{
	struct ipc_finished *reason = &a->destination->reason;

	if (a->has_reason && reason->outcome.verdict != DELIVERY_FAILED && m->outcome.verdict == DELIVERY_FAILED)
		return;
	*reason = *m;
	reason->is_dead = true;
	a->has_reason = true;
}

void
attempt_blame(struct attempt *a, enum delivery_verdict verdict, enum delivery_stage stage, const char *enhanced, const char *text)
{
	struct ipc_finished *m = &relay.unshared->finished;

	*m = (struct ipc_finished){ .outcome = { .verdict = verdict, .stage = stage } };
	str_fmt(m->outcome.enhanced, sizeof(m->outcome.enhanced), "%s", enhanced);
	if (str_fmt(m->outcome.reply, sizeof(m->outcome.reply), "%s", text) != ERR_OK)
		str_fmt(m->outcome.reply, sizeof(m->outcome.reply), "%.500s", text);
	for (char *p = m->outcome.reply; *p != 0; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	if (stage >= DELIVERY_CONNECT && a->host < a->nhosts) {
		str_fmt(m->host, sizeof(m->host), "%s", a->hosts[a->host].name);
		if (a->address < a->naddresses[a->host])
			netaddr_put(m->address, &a->addresses[a->host][a->address]);
	}
	keep_reason(a, m);
}

void
attempt_blame_session(struct attempt *a, const struct ipc_finished *m)
{
	struct ipc_finished *f = &relay.unshared->finished;

	if (f != m)
		*f = *m;
	/* A fixed next hop that turns us away is a trouble of ours, not of the recipients: the mail waits for it to be mended. */
	if (f->outcome.verdict == DELIVERY_RETURNED || (route_of(a)->kind != ROUTE_MX && f->outcome.verdict == DELIVERY_FAILED))
		f->outcome.verdict = DELIVERY_DEFERRED;
	keep_reason(a, f);
}

void
attempt_end(struct relay *r, struct attempt *a)
{
	struct attempt **p = &r->attempts;

	for (size_t i = 0; i < RELAY_HOSTS_MAX; i++)
		if (a->lookups[i].number != 0)
			resolver_forget(&r->resolver, a->lookups[i].number);
	if (a->watch.fd >= 0) {
		loop_remove(&r->loop, &a->watch);
		io_close(&a->watch.fd);
	}
	while (*p != a)
		p = &(*p)->next;
	*p = a->next;
	a->destination->nattempts--;
	r->nattempts--;
	unshared_drop(r->unshared, a);
}

static void
fail(struct attempt *a)
{
	struct destination *t = a->destination;

	if (!a->has_reason)
		attempt_blame(a, DELIVERY_DEFERRED, DELIVERY_CONNECT, "4.4.1", "no server could be tried");

	attempt_end(&relay, a);
	destination_failed(&relay, t);
}

static void
fail_with(struct attempt *a, enum delivery_verdict verdict, const char *enhanced, const char *text)
{
	attempt_blame(a, verdict, DELIVERY_RESOLVE, enhanced, text);
	fail(a);
}

void
attempt_next(struct attempt *a)
{
	a->is_clear = false;
	a->address++;
	while (a->host < a->nhosts && a->address >= a->naddresses[a->host]) {
		a->host++;
		a->address = 0;
	}
	if (a->host == a->nhosts || a->ntried == RELAY_CANDIDATES_MAX || relay.is_stopping) {
		fail(a);
		return;
	}
	a->ntried++;
	connect_begin(&relay, a);
}

/* The first address of the first host that has one. */
static void
begin(struct attempt *a)
{
	a->host = 0;
	a->address = (size_t)-1;
	attempt_next(a);
}

static bool
is_permanent(uint8_t status)
{
	return status == RESOLVE_NXDOMAIN || status == RESOLVE_NODATA;
}

/* None of the names has an address. */
static void
fail_without_address(struct attempt *a)
{
	bool is_mx = route_of(a)->kind == ROUTE_MX, is_plain = is_mx && a->nhosts == 1 && strcmp(a->hosts[0].name, a->destination->domain) == 0;
	bool all_permanent = true;
	char text[400];

	for (size_t i = 0; i < a->nhosts; i++)
		all_permanent = all_permanent && is_permanent(a->lookups[i].status);
	str_fmt(text, sizeof(text), all_permanent ? "%s has no address in the DNS" : "the DNS gives no answer about the address of %s",
	    a->nhosts != 0 ? a->hosts[0].name : a->destination->domain);
	if (!all_permanent)
		fail_with(a, DELIVERY_DEFERRED, "4.4.3", text);
	else if (!is_mx)
		fail_with(a, DELIVERY_DEFERRED, "4.4.4", text);
	else
		fail_with(a, DELIVERY_FAILED, is_plain ? "5.1.2" : "5.4.4", text);
}

/* All names are known: those that are ourselves are found by their addresses, too. */
static void
have_addresses(struct attempt *a)
{
	bool is_mx = route_of(a)->kind == ROUTE_MX, has_any = false, has_self = false;
	uint16_t own = UINT16_MAX;

	for (size_t i = 0; is_mx && i < a->nhosts; i++)
		for (size_t j = 0; j < a->naddresses[i]; j++)
			if (connect_is_self(&relay, &a->addresses[i][j]) && (!has_self || a->hosts[i].preference < own)) {
				has_self = true;
				own = a->hosts[i].preference;
			}
	for (size_t i = 0; i < a->nhosts; i++) {
		if (has_self && a->hosts[i].preference >= own)
			a->naddresses[i] = 0;
		has_any = has_any || a->naddresses[i] != 0;
	}
	if (has_any)
		begin(a);
	else if (has_self)
		fail_with(a, DELIVERY_FAILED, "5.4.6", loop_text);
	else
		fail_without_address(a);
}

static void
hear_addresses(void *owner, const struct ipc_resolve_answer *answer)
{
	struct attempt_lookup *l = owner;
	struct attempt *a = l->attempt;
	uint16_t port = route_of(a)->port;

	l->number = 0;
	l->status = (uint8_t)answer->status;
	for (size_t i = 0; i < answer->n && answer->status == RESOLVE_OK && a->naddresses[l->host] < RELAY_HOST_ADDRESSES_MAX; i++) {
		struct netaddr *to = &a->addresses[l->host][a->naddresses[l->host]++];

		*to = answer->addresses[i];
		to->port = port;
	}
	if (--a->nopen == 0)
		have_addresses(a);
}

/* "192.0.2.1", "2001:db8::1", and as a domain "[192.0.2.1]" or "[IPv6:2001:db8::1]" (RFC 5321, 4.1.3). */
bool
attempt_parse_literal(const char *text, struct netaddr *to)
{
	size_t n = strlen(text), skip = 0;
	struct netmask m;
	char copy[64];

	if (n > 2 && text[0] == '[' && text[n - 1] == ']') {
		skip = n > 7 && str_is_equal_nocase(text + 1, 5, "IPv6:", 5) ? 6 : 1;
		n--;
	}
	if (strchr(text, '/') != NULL || str_copy(copy, sizeof(copy), text + skip, n - skip) != ERR_OK || netmask_parse(&m, copy) != ERR_OK)
		return false;
	*to = m.address;
	return true;
}

static void
ask_addresses(struct attempt *a)
{
	a->nopen = 1;
	for (size_t i = 0; i < a->nhosts; i++) {
		struct attempt_lookup *l = &a->lookups[i];

		*l = (struct attempt_lookup){ .attempt = a, .host = i, .status = RESOLVE_TEMPORARY };
		if (attempt_parse_literal(a->hosts[i].name, &a->addresses[i][0])) {
			a->addresses[i][0].port = route_of(a)->port;
			a->naddresses[i] = 1;
		} else if (resolver_ask(&relay.resolver, RESOLVE_ADDRESSES, a->hosts[i].name, hear_addresses, l, &l->number) == ERR_OK) {
			a->nopen++;
		}
	}
	if (--a->nopen == 0)
		have_addresses(a);
}

static void
set_host(struct attempt *a, const char *name)
{
	a->hosts[0] = (struct mx_host){ .preference = 0 };
	str_fmt(a->hosts[0].name, sizeof(a->hosts[0].name), "%s", name);
	a->nhosts = 1;
}

/* False: the attempt has failed. */
static bool
take_hosts(struct attempt *a, const struct ipc_resolve_answer *answer)
{
	static struct mx_host hosts[RESOLVE_MAX];
	const char *own = relay.service->conf.hostname;
	enum mx_verdict verdict;
	size_t n = answer->n;

	for (size_t i = 0; i < n; i++) {
		const char *name = answer->hosts[i].name;

		hosts[i] = (struct mx_host){
			.preference = answer->hosts[i].preference,
			.is_self = str_is_equal_nocase(name, strlen(name), own, strlen(own)),
		};
		str_fmt(hosts[i].name, sizeof(hosts[i].name), "%s", name);
	}
	verdict = mx_order(hosts, &n, pick);
	if (verdict == MX_USE) {
		a->nhosts = n < RELAY_HOSTS_MAX ? n : RELAY_HOSTS_MAX;
		memcpy(a->hosts, hosts, a->nhosts * sizeof(hosts[0]));
	}
	memset(hosts, 0, sizeof(hosts));
	if (verdict == MX_NULL)
		fail_with(a, DELIVERY_FAILED, "5.1.10", "the domain takes no mail (null MX)");
	else if (verdict == MX_LOOP)
		fail_with(a, DELIVERY_FAILED, "5.4.6", loop_text);
	return verdict == MX_USE;
}

static void
hear_mx(void *owner, const struct ipc_resolve_answer *answer)
{
	struct attempt_lookup *l = owner;
	struct attempt *a = l->attempt;
	struct destination *t = a->destination;
	char text[400];

	l->number = 0;
	switch (answer->status) {
	case RESOLVE_OK:
		if (!take_hosts(a, answer))
			return;
		break;
	case RESOLVE_NODATA:
		set_host(a, t->domain);
		break;
	case RESOLVE_NXDOMAIN:
		str_fmt(text, sizeof(text), "the domain %s does not exist", t->domain);
		fail_with(a, DELIVERY_FAILED, "5.1.2", text);
		return;
	case RESOLVE_UNUSABLE:
		str_fmt(text, sizeof(text), "the mail exchangers of %s have no names that could be used", t->domain);
		fail_with(a, DELIVERY_FAILED, "5.4.4", text);
		return;
	default:
		str_fmt(text, sizeof(text), "the DNS gives no answer about %s%s%s", t->domain, answer->why[0] != 0 ? ": " : "", answer->why);
		fail_with(a, DELIVERY_DEFERRED, answer->status == RESOLVE_BOGUS ? "4.7.0" : "4.4.3", text);
		return;
	}
	ask_addresses(a);
}

int
attempt_start(struct relay *r, struct destination *t)
{
	struct attempt *a = unshared_get(r->unshared);
	const struct conf_route *route = destination_route(r, t);
	struct netaddr literal;
	int err = ERR_OK;

	if (a == NULL)
		return ERR_NOMEM;
	a->destination = t;
	a->watch.fd = -1;
	a->next = r->attempts;
	r->attempts = a;
	t->nattempts++;
	r->nattempts++;
	a->lookups[0].attempt = a;
	if (route->path[0] != 0) {
		set_host(a, route->path);
		a->naddresses[0] = 1;
		begin(a);
	} else if (route->kind != ROUTE_MX) {
		set_host(a, route->host);
		ask_addresses(a);
	} else if (attempt_parse_literal(t->domain, &literal)) {
		set_host(a, t->domain);
		ask_addresses(a);
	} else if ((err = resolver_ask(&r->resolver, RESOLVE_MX, t->domain, hear_mx, &a->lookups[0], &a->lookups[0].number)) != ERR_OK) {
		fail_with(a, err == ERR_SYNTAX ? DELIVERY_FAILED : DELIVERY_DEFERRED, err == ERR_SYNTAX ? "5.1.2" : "4.4.3",
		    err == ERR_SYNTAX ? "the domain is no name that could be in the DNS" : "the DNS can't be asked now");
	}
	return ERR_OK;
}
