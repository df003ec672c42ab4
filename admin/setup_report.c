/*
 * What smtpadm setup says of what it made, started and tried, in words and in JSON. Runs with the admin's rights; changes nothing.
 */
#include "setup.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "domain.h"
#include "netaddr.h"
#include "out.h"
#include "process.h"
#include "route_keys.h"

static const char *const certificate_words[] = { "none", "kept", "made", "copied" };
static const char *const account_words[] = { "none", "kept", "added", "password changed" };
static const char *const service_words[] = { "none", "started", "reloaded", "failed" };
static const char *const probe_words[] = { "not_tried", "good", "fault", "out_of_reach" };
static const char *const message_words[] = { NULL, "would_be_accepted", "accepted" };

static struct domain_wants wants;

static void
report_listeners(const struct setup *s)
{
	static const char *const security[] = {
		[LISTENER_SUBMISSION] = "STARTTLS", [LISTENER_SUBMISSIONS] = "SSL/TLS", [LISTENER_PLAIN] = "none",
	};

	out_print("\nSettings for a mail program:\n");
	for (size_t i = 0; i < s->conf.nlisteners; i++) {
		const struct conf_listener *l = &s->conf.listeners[i];
		char host[NETADDR_TEXT];
		bool named = l->kind != LISTENER_PLAIN && !netaddr_is_loopback(&l->address);

		/* On loopback the address is what a program here needs; the certificate names the host name. */
		out_print("  outgoing server %s, port %u, security %s\n",
		    named ? s->conf.hostname : netaddr_put_host(host, &l->address), (unsigned)l->address.port,
		    security[l->kind]);
	}
	out_print("  user name %s, its password, authentication \"normal password\"\n",
	    s->account != ACCOUNT_NONE ? s->account_name : "of the account");
}

/* Whether this run made a key: there was none of its kind. */
static bool
is_new(const struct setup_domain *d, const struct dkim_row *k)
{
	for (size_t i = 0; i < SETUP_ALGORITHMS; i++)
		if (strcmp(k->algorithm, setup_algorithm(i)) == 0)
			return !d->has_key[i];
	return false;
}

static bool
is_of(const struct setup_domain *d, const struct dkim_row *k)
{
	return strcmp(k->domain, d->name) == 0 && strcmp(k->state, "retired") != 0;
}

static void
report_domains(const struct setup *s)
{
	char name[400];

	for (size_t i = 0; i < s->ndomains; i++) {
		const struct setup_domain *d = &s->domains[i];

		out_print("Domain         %s (%s)\n", d->name, d->is_there ? "kept" : "added");
		for (size_t k = 0; k < s->keys.n; k++) {
			if (!is_of(d, &s->keys.rows[k]))
				continue;
			dkim_put_name(name, &s->keys.rows[k]);
			out_print("DKIM key       %s (%s, %s)\n", name, is_new(d, &s->keys.rows[k]) ? "made" : "kept",
			    s->keys.rows[k].state);
		}
		for (size_t n = 0; n < SETUP_ALGORITHMS && s->a->dry_run; n++)
			if (!d->has_key[n])
				out_print("DKIM key       %s (would be made)\n", setup_algorithm(n));
	}
}

void
setup_report_made(const struct setup *s)
{
	const struct instance *in = &s->a->in;
	char spool[PATH_MAX], url[ROUTE_VALUE];

	instance_spool(in, &s->conf, spool);
	out_print("Configuration  %s%s\n", in->conf_file, s->file_changed ? "" : " (as it was)");
	out_print("Host name      %s\n", s->conf.hostname);
	out_print("Certificate    %s (%s)\n", s->certificate != CERTIFICATE_NONE ? s->chain_path : "-",
	    certificate_words[s->certificate]);
	if (s->conf.nroutes == 0)
		out_print("Route          none: accepted mail waits (%sroute add NAME URL)\n", out_program());
	for (size_t i = 0; i < s->conf.nroutes; i++)
		out_print("Route          %s %s\n", s->conf.routes[i].name, route_put_url(url, &s->conf.routes[i]));
	out_print("Registry       %s\nSpool          %s\n", in->registry_file, spool);
	report_domains(s);
	if (s->account != ACCOUNT_NONE)
		out_print("Account        %s (%s)\n", s->account_name, account_words[s->account]);
	if (s->secret.generated && s->account == ACCOUNT_ADDED)
		out_print("Password       %s\n", s->a->dry_run ? "(would be made)" : s->secret.text);
	report_listeners(s);
}

static void
report_probe(const struct conf_listener *l, const struct setup_probe *p)
{
	static const char *const messages[] = { "", ", would accept a message", ", accepted a message" };
	char address[NETADDR_TEXT];

	netaddr_put(address, &l->address);
	if (p->result == PROBE_FAULTY)
		out_print("  %-12s %-16s FAULT: %s\n", l->name, address, p->said);
	else if (p->result == PROBE_OUT_OF_REACH)
		out_print("  %-12s %-16s not for this machine, as its networks say\n", l->name, address);
	else
		out_print("  %-12s %-16s %s%s%s%s\n", l->name, address, p->tls[0] != 0 ? p->tls : "no TLS",
		    p->knows_certificate ? ", its certificate" : "", p->logged_in ? ", login" : "", messages[p->message]);
	if (p->result == PROBE_GOOD)
		out_print("               %s\n", p->said);
}

static void
report_trace(const struct conf_listener *l, const struct setup_probe *p)
{
	const char *line = p->trace;

	out_print("\nTrace of the message to %s, %s:\n", l->name, p->is_removed ? "which is removed again" : p->id);
	while (*line != 0) {
		int n = (int)strcspn(line, "\n");

		out_print("  %.*s\n", n, line);
		line += n + (line[n] != 0);
	}
}

void
setup_report_service(const struct setup *s)
{
	bool has_message = false, has_login = false, is_held_back = false;

	if (s->service == SERVICE_NONE || s->service == SERVICE_FAILED)
		return;
	out_print("\nThe service %s. Tried from this machine:\n",
	    s->service == SERVICE_STARTED ? "is started" : "runs, and has taken what is new");
	for (size_t i = 0; i < s->conf.nlisteners; i++) {
		report_probe(&s->conf.listeners[i], &s->probes[i]);
		has_message |= s->probes[i].message != MESSAGE_NONE;
		has_login |= s->probes[i].logged_in;
		is_held_back |= s->probes[i].message == MESSAGE_WELCOME && s->probes[i].result == PROBE_GOOD;
	}
	if (!has_login)
		out_print("  No login was tried: this run knows no password (--account, --password-stdin).\n");
	else if (!has_message)
		out_print("  No message was tried: the account's name is no address.\n");
	if (is_held_back)
		out_print("  No message was sent, since a route would carry it on (%sroute test NAME).\n", out_program());
	for (size_t i = 0; i < s->conf.nlisteners; i++)
		if (s->probes[i].trace[0] != 0)
			report_trace(&s->conf.listeners[i], &s->probes[i]);
}

/* A dry run has no keys to show, and no advice to make them. */
static bool
is_shown(const struct setup *s, const struct domain_want *w)
{
	return !s->a->dry_run || w->kind != WANT_DKIM || w->key != NULL;
}

void
setup_report_dns(const struct setup *s)
{
	for (size_t i = 0; i < s->ndomains; i++) {
		const struct setup_domain *d = &s->domains[i];

		out_print("\nRecords for the DNS of %s%s:\n", d->name,
		    s->a->dry_run && !(d->has_key[0] && d->has_key[1]) ? ", beside those of keys that would be made" : "");
		domain_find_wants(&wants, d->name, &s->conf, &s->keys);
		for (size_t w = 0; w < wants.n; w++)
			if (is_shown(s, &wants.wants[w]))
				domain_print_want(&wants.wants[w], d->name);
	}
}

void
setup_report_next(const struct setup *s)
{
	const char *lead = "Next: ";
	const struct instance *in = &s->a->in;
	pid_t pid;

	if (s->a->dry_run) {
		out_print("\nDry run: nothing was changed.\n");
		return;
	}
	out_print("\n");
	if (s->service == SERVICE_NONE) {
		if (process_find_master(s->a, &pid))
			out_print("%s%sreload\n", lead, out_program());
		else if (in->root[0] != 0)
			out_print("%sposternd%s\n", lead, out_root());
		else if (access("/run/systemd/system", F_OK) == 0)
			out_print("%ssystemctl enable --now postern\n", lead);
		else
			out_print("%sposternd\n", lead);
		lead = "      ";
	}
	if (s->account == ACCOUNT_NONE && s->is_fresh) {
		out_print("%s%saccount add ACCOUNT\n", lead, out_program());
		lead = "      ";
	}
	if (s->other_domain[0] != 0 && s->ndomains == 0) {
		out_print("%s%ssetup --domain %s, if mail is sent from it\n", lead, out_program(), s->other_domain);
		lead = "      ";
	}
	if (s->ndomains != 0)
		out_print("%s%sdomain check, once these records are in the DNS\n", lead, out_program());
}

static void
put_probe(struct json *j, const struct setup_probe *p)
{
	const char *line = p->trace;
	char text[1024];

	if (p->result == PROBE_NOT_TRIED)
		return;
	json_open(j, "probe", '{');
	json_put_str(j, "result", probe_words[p->result]);
	json_put_str(j, "tls", p->tls[0] != 0 ? p->tls : NULL);
	json_put_bool(j, "certificate_is_configured", p->knows_certificate);
	json_put_bool(j, "login", p->logged_in);
	json_put_str(j, "message", message_words[p->message]);
	json_put_str(j, "queue_id", p->id[0] != 0 ? p->id : NULL);
	json_put_bool(j, "removed", p->is_removed);
	json_put_str(j, "reply", p->said);
	json_open(j, "trace", '[');
	while (*line != 0) {
		size_t n = strcspn(line, "\n");

		snprintf(text, sizeof(text), "%.*s", (int)n, line);
		json_put_str(j, NULL, text);
		line += n + (line[n] != 0);
	}
	json_close(j, ']');
	json_close(j, '}');
}

static void
put_listeners(struct json *j, const struct setup *s)
{
	char text[NETADDR_TEXT];

	json_open(j, "listeners", '[');
	for (size_t i = 0; i < s->conf.nlisteners; i++) {
		json_open(j, NULL, '{');
		json_put_str(j, "name", s->conf.listeners[i].name);
		json_put_str(j, "kind", conf_listener_kind(s->conf.listeners[i].kind));
		json_put_str(j, "address", netaddr_put(text, &s->conf.listeners[i].address));
		put_probe(j, &s->probes[i]);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void
put_domains(struct json *j, const struct setup *s)
{
	json_open(j, "domains", '[');
	for (size_t i = 0; i < s->ndomains; i++) {
		const struct setup_domain *d = &s->domains[i];

		json_open(j, NULL, '{');
		json_put_str(j, "domain", d->name);
		json_put_str(j, "action", d->is_there ? "kept" : "added");
		json_open(j, "dkim_keys", '[');
		for (size_t k = 0; k < s->keys.n; k++) {
			const struct dkim_row *row = &s->keys.rows[k];

			if (!is_of(d, row))
				continue;
			json_open(j, NULL, '{');
			json_put_str(j, "selector", row->selector);
			json_put_str(j, "algorithm", row->algorithm);
			json_put_str(j, "state", row->state);
			json_put_str(j, "action", is_new(d, row) ? "added" : "kept");
			json_close(j, '}');
		}
		for (size_t n = 0; n < SETUP_ALGORITHMS && s->a->dry_run; n++) {
			if (d->has_key[n])
				continue;
			json_open(j, NULL, '{');
			json_put_str(j, "selector", NULL);
			json_put_str(j, "algorithm", setup_algorithm(n));
			json_put_str(j, "state", NULL);
			json_put_str(j, "action", "added");
			json_close(j, '}');
		}
		json_close(j, ']');
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void
put_dns(struct json *j, const struct setup *s)
{
	json_open(j, "dns", '[');
	for (size_t i = 0; i < s->ndomains; i++) {
		domain_find_wants(&wants, s->domains[i].name, &s->conf, &s->keys);
		for (size_t w = 0; w < wants.n; w++) {
			if (!is_shown(s, &wants.wants[w]))
				continue;
			json_open(j, NULL, '{');
			domain_put_want(j, &wants.wants[w], s->domains[i].name);
			json_close(j, '}');
		}
	}
	json_close(j, ']');
}

void
setup_report_json(const struct setup *s)
{
	struct json j;

	json_begin(&j);
	json_put_str(&j, "root", s->a->in.root[0] != 0 ? s->a->in.root : NULL);
	json_put_bool(&j, "dry_run", s->a->dry_run);
	json_put_str(&j, "configuration", s->a->in.conf_file);
	json_put_str(&j, "hostname", s->conf.hostname);
	json_open(&j, "certificate", '{');
	json_put_str(&j, "file", s->certificate != CERTIFICATE_NONE ? s->chain_path : NULL);
	json_put_str(&j, "action", certificate_words[s->certificate]);
	json_close(&j, '}');
	json_open(&j, "account", '{');
	json_put_str(&j, "account", s->account != ACCOUNT_NONE ? s->account_name : NULL);
	json_put_str(&j, "action", account_words[s->account]);
	if (s->secret.generated && s->account == ACCOUNT_ADDED && !s->a->dry_run)
		json_put_str(&j, "password", s->secret.text);
	json_close(&j, '}');
	put_listeners(&j, s);
	json_open(&j, "routes", '[');
	for (size_t i = 0; i < s->conf.nroutes; i++)
		json_put_str(&j, NULL, s->conf.routes[i].name);
	json_close(&j, ']');
	put_domains(&j, s);
	json_open(&j, "service", '{');
	json_put_str(&j, "action", service_words[s->service]);
	json_close(&j, '}');
	put_dns(&j, s);
	json_end(&j, stdout);
}
