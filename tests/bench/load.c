/*
 * A load generator for SMTP submission: C connections at once, a thread each, M messages on every one, each reply checked.
 * Prints one JSON line. Knows nothing of Postern's code; works against any server.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum mode { MODE_PLAIN, MODE_STARTTLS, MODE_TLS };

struct options {
	const char	*address, *user, *password_file, *from, *to, *helo;
	char		 password[256];
	uint16_t	 port;
	enum mode	 mode;
	bool		 pipelining;
	unsigned	 connections, messages, timeout;
	size_t		 size;
};

struct client {
	unsigned	 number;
	pthread_t	 thread;
	int		 fd;
	SSL		*ssl;
	char		 in[8192];
	size_t		 in_len;
	double		*latency;	/* seconds, of each message that was taken */
	unsigned	 taken;
	char		 error[256];
};

static struct options o = {
	.address = "127.0.0.1", .from = "alice@example.org", .to = "bob@example.net", .helo = "client.example.org",
	.connections = 1, .messages = 1, .size = 2048, .timeout = 60,
};
static SSL_CTX *tls;
static char *body;		/* the part of the message that all share, dots doubled, with the final dot */
static size_t body_len;
static pthread_barrier_t start;
static atomic_bool failed;

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static bool complain(struct client *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static bool
complain(struct client *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (c->error[0] == 0)
		vsnprintf(c->error, sizeof(c->error), fmt, ap);
	va_end(ap);
	return false;
}

static bool
send_all(struct client *c, const char *p, size_t n)
{
	while (n != 0) {
		ssize_t done = c->ssl != NULL ? SSL_write(c->ssl, p, (int)(n < 1 << 20 ? n : 1 << 20)) : send(c->fd, p, n, MSG_NOSIGNAL);

		if (done <= 0)
			return complain(c, "write: %s", errno != 0 ? strerror(errno) : "TLS error");
		p += done;
		n -= (size_t)done;
	}
	return true;
}

/* One line into `line` without its end. */
static bool
read_line(struct client *c, char *line, size_t size)
{
	for (;;) {
		char *end = memchr(c->in, '\n', c->in_len);
		ssize_t n;

		if (end != NULL) {
			size_t len = (size_t)(end - c->in);

			snprintf(line, size, "%.*s", (int)(len > 0 && end[-1] == '\r' ? len - 1 : len), c->in);
			c->in_len -= len + 1;
			memmove(c->in, end + 1, c->in_len);
			return true;
		}
		if (c->in_len == sizeof(c->in))
			return complain(c, "a reply line is too long");
		errno = 0;
		if (c->ssl != NULL)
			n = SSL_read(c->ssl, c->in + c->in_len, (int)(sizeof(c->in) - c->in_len));
		else
			n = recv(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, 0);
		if (n <= 0)
			return complain(c, "read: %s", errno != 0 ? strerror(errno) : "closed by the server");
		c->in_len += (size_t)n;
	}
}

/* A reply of this code; one of its lines holds `word`, unless that is NULL. */
static bool
expect(struct client *c, const char *code, const char *word)
{
	char line[1024];
	bool seen = word == NULL;

	do {
		if (!read_line(c, line, sizeof(line)))
			return false;
		if (strncmp(line, code, 3) != 0 || (line[3] != '-' && line[3] != ' ' && line[3] != 0))
			return complain(c, "expected %s: %s", code, line);
		if (!seen && strstr(line, word) != NULL)
			seen = true;
	} while (line[3] == '-');
	return seen ? true : complain(c, "no %s in the reply", word);
}

static bool
command(struct client *c, const char *code, const char *word, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

static bool
command(struct client *c, const char *code, const char *word, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	return send_all(c, line, (size_t)n) && expect(c, code, word);
}

static bool
open_connection(struct client *c)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(o.port) };
	struct timeval limit = { .tv_sec = o.timeout };
	int one = 1;

	inet_pton(AF_INET, o.address, &to.sin_addr);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(c->fd, (struct sockaddr *)&to, sizeof(to)) != 0)
		return complain(c, "connect: %s", strerror(errno));
	return true;
}

static bool
begin_tls(struct client *c)
{
	if (c->in_len != 0)
		return complain(c, "octets before the handshake");
	c->ssl = SSL_new(tls);
	SSL_set_fd(c->ssl, c->fd);
	if (SSL_connect(c->ssl) != 1)
		return complain(c, "TLS: %s", ERR_reason_error_string(ERR_peek_error()));
	return true;
}

static bool
log_in(struct client *c)
{
	char plain[520], text[1024];
	int n = snprintf(plain, sizeof(plain), "%c%s%c%s", 0, o.user, 0, o.password);

	EVP_EncodeBlock((unsigned char *)text, (unsigned char *)plain, n);
	return command(c, "235", NULL, "AUTH PLAIN %s\r\n", text);
}

static bool
open_session(struct client *c)
{
	if (!open_connection(c) || (o.mode == MODE_TLS && !begin_tls(c)) || !expect(c, "220", NULL))
		return false;
	if (!command(c, "250", o.mode == MODE_STARTTLS ? "STARTTLS" : NULL, "EHLO %s\r\n", o.helo))
		return false;
	if (o.mode == MODE_STARTTLS && (!command(c, "220", NULL, "STARTTLS\r\n") || !begin_tls(c) ||
	    !command(c, "250", o.user != NULL ? "AUTH" : NULL, "EHLO %s\r\n", o.helo)))
		return false;
	return o.user == NULL || log_in(c);
}

static bool
send_message(struct client *c, unsigned i)
{
	char head[1024];
	int n;

	if (o.pipelining) {
		if (!command(c, "250", NULL, "MAIL FROM:<%s>\r\nRCPT TO:<%s>\r\nDATA\r\n", o.from, o.to) ||
		    !expect(c, "250", NULL) || !expect(c, "354", NULL))
			return false;
	} else if (!command(c, "250", NULL, "MAIL FROM:<%s>\r\n", o.from) ||
	    !command(c, "250", NULL, "RCPT TO:<%s>\r\n", o.to) || !command(c, "354", NULL, "DATA\r\n")) {
		return false;
	}
	n = snprintf(head, sizeof(head), "From: <%s>\r\nTo: <%s>\r\nSubject: load\r\nDate: Sat, 21 Nov 2026 22:10:17 +0000\r\n"
	    "Message-ID: <%ld.%u.%u@%s>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n", o.from, o.to, (long)getpid(),
	    c->number, i, o.helo);
	return send_all(c, head, (size_t)n) && send_all(c, body, body_len) && expect(c, "250", NULL);
}

static void *
run_client(void *arg)
{
	struct client *c = arg;
	bool ok;

	pthread_barrier_wait(&start);
	ok = open_session(c);
	for (unsigned i = 0; ok && i < o.messages; i++) {
		double before = now();

		if ((ok = send_message(c, i)))
			c->latency[c->taken++] = now() - before;
	}
	if (ok)
		ok = command(c, "221", NULL, "QUIT\r\n");
	if (!ok)
		failed = true;
	SSL_free(c->ssl);
	if (c->fd >= 0)
		close(c->fd);
	return NULL;
}

static void
make_body(void)
{
	static const char line[] = "The quick brown fox jumps over the lazy dog, and nobody in the office minds.\r\n";
	size_t n = 0;

	body = malloc(o.size + sizeof(line) + 8);
	if (body == NULL)
		exit(1);
	/* The fields above the body are about 250 octets. */
	while (n + 250 < o.size) {
		memcpy(body + n, line, sizeof(line) - 1);
		n += sizeof(line) - 1;
	}
	memcpy(body + n, ".\r\n", 3);
	body_len = n + 3;
}

static int
compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void
usage(void)
{
	fprintf(stderr, "usage: load -p PORT [-a ADDRESS] [-m plain|starttls|tls] [-u USER -w PASSWORDFILE] [-c CONNECTIONS]\n"
	    "            [-n MESSAGES] [-s OCTETS] [-f FROM] [-t TO] [-l SECONDS] [-P]\n");
	exit(64);
}

static unsigned long
number(const char *text, unsigned long max)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*end != 0 || v == 0 || v > max)
		usage();
	return v;
}

static void
read_password(void)
{
	FILE *f = fopen(o.password_file, "r");

	if (f == NULL || fgets(o.password, sizeof(o.password), f) == NULL) {
		fprintf(stderr, "load: %s can't be read\n", o.password_file);
		exit(66);
	}
	fclose(f);
	o.password[strcspn(o.password, "\r\n")] = 0;
}

static void
read_options(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "a:p:m:u:w:c:n:s:f:t:l:P")) != -1) {
		switch (option) {
		case 'a': o.address = optarg; break;
		case 'p': o.port = (uint16_t)number(optarg, 65535); break;
		case 'm': o.mode = strcmp(optarg, "plain") == 0 ? MODE_PLAIN : strcmp(optarg, "tls") == 0 ? MODE_TLS : MODE_STARTTLS; break;
		case 'u': o.user = optarg; break;
		case 'w': o.password_file = optarg; break;
		case 'c': o.connections = (unsigned)number(optarg, 20000); break;
		case 'n': o.messages = (unsigned)number(optarg, 1000000); break;
		case 's': o.size = number(optarg, 1 << 30); break;
		case 'f': o.from = optarg; break;
		case 't': o.to = optarg; break;
		case 'l': o.timeout = (unsigned)number(optarg, 3600); break;
		case 'P': o.pipelining = true; break;
		default: usage();
		}
	}
	if (optind != argc || o.port == 0 || (o.user != NULL) != (o.password_file != NULL))
		usage();
}

static void
report(struct client *clients, double seconds)
{
	unsigned wanted = o.connections * o.messages, taken = 0;
	double *all = calloc(wanted, sizeof(*all)), p[3] = { 0, 0, 0 };
	static const double parts[3] = { 0.50, 0.95, 0.99 };

	if (all == NULL)
		exit(1);
	for (unsigned i = 0; i < o.connections; i++) {
		memcpy(all + taken, clients[i].latency, clients[i].taken * sizeof(*all));
		taken += clients[i].taken;
		if (clients[i].error[0] != 0)
			fprintf(stderr, "load: connection %u: %s\n", i, clients[i].error);
	}
	qsort(all, taken, sizeof(*all), compare);
	for (int k = 0; k < 3 && taken != 0; k++)
		p[k] = all[(size_t)((double)(taken - 1) * parts[k])] * 1000;
	printf("{\"messages\":%u,\"failures\":%u,\"seconds\":%.4f,\"rate\":%.1f,\"p50_ms\":%.2f,\"p95_ms\":%.2f,\"p99_ms\":%.2f}\n",
	    taken, wanted - taken, seconds, taken / seconds, p[0], p[1], p[2]);
	free(all);
}

int
main(int argc, char **argv)
{
	struct client *clients;
	pthread_attr_t attr;
	double before, seconds;

	read_options(argc, argv);
	if (o.password_file != NULL)
		read_password();
	make_body();
	tls = SSL_CTX_new(TLS_client_method());
	clients = calloc(o.connections, sizeof(*clients));
	if (tls == NULL || clients == NULL)
		return 1;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 256 * 1024);
	pthread_barrier_init(&start, NULL, o.connections + 1);
	for (unsigned i = 0; i < o.connections; i++) {
		clients[i].number = i;
		clients[i].fd = -1;
		if ((clients[i].latency = calloc(o.messages, sizeof(double))) == NULL ||
		    pthread_create(&clients[i].thread, &attr, run_client, &clients[i]) != 0) {
			fprintf(stderr, "load: no memory or no thread for connection %u\n", i);
			return 71;
		}
	}
	pthread_barrier_wait(&start);
	before = now();
	for (unsigned i = 0; i < o.connections; i++)
		pthread_join(clients[i].thread, NULL);
	seconds = now() - before;
	report(clients, seconds);
	for (unsigned i = 0; i < o.connections; i++)
		free(clients[i].latency);
	free(clients);
	free(body);
	SSL_CTX_free(tls);
	return failed ? 1 : 0;
}
