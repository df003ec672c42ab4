/*
 * An SMTP server on loopback that takes every message: the next hop of tests/bench/deliver and of `make run`. One process, one
 * loop. When -n messages have come it prints one JSON object and ends. Invariant: nothing that it is sent makes it write outside
 * its buffers; it is for loopback, and serves nobody else.
 *
 *   sink -p PORT -n MESSAGES [-t SECONDS] [-o FILE]		FILE gets the messages as they came
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_OCTETS 2048
#define OUT_MAX 8192
#define EVENTS 64

struct client {
	int	fd;
	bool	in_data;
	uint8_t	end;		/* how much of CRLF . CRLF was seen; a message begins behind a CRLF */
	size_t	line_len, out_len;
	char	line[LINE_MAX_OCTETS], out[OUT_MAX];
};

static int epoll_fd;
static uint64_t sessions, messages, octets, wanted;
static double first, last;
static FILE *kept;

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
say(struct client *c, const char *text)
{
	size_t n = strlen(text);

	if (c->out_len + n <= sizeof(c->out)) {
		memcpy(c->out + c->out_len, text, n);
		c->out_len += n;
	}
}

/* False: the session ends. */
static bool
flush(struct client *c)
{
	size_t sent = 0;

	while (sent < c->out_len) {
		ssize_t n = send(c->fd, c->out + sent, c->out_len - sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		sent += (size_t)n;
	}
	c->out_len = 0;
	return true;
}

static bool
command(struct client *c)
{
	const char *l = c->line;

	if (strncasecmp(l, "EHLO", 4) == 0) {
		say(c, "250-sink.example.org\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE 0\r\n");
	} else if (strncasecmp(l, "DATA", 4) == 0) {
		say(c, "354 go on\r\n");
		c->in_data = true;
		c->end = 2;
	} else if (strncasecmp(l, "QUIT", 4) == 0) {
		say(c, "221 2.0.0 bye\r\n");
		flush(c);
		return false;
	} else {
		say(c, "250 2.0.0 ok\r\n");
	}
	return true;
}

static void
take_message(struct client *c)
{
	c->in_data = false;
	if (kept != NULL)
		fflush(kept);
	say(c, "250 2.0.0 taken\r\n");
	last = now();
	if (messages++ == 0)
		first = last;
}

static bool
take(struct client *c, const char *p, size_t n)
{
	static const char end[] = "\r\n.\r\n";

	for (size_t i = 0; i < n; i++) {
		if (c->in_data) {
			octets++;
			if (kept != NULL)
				putc(p[i], kept);
			if (p[i] == end[c->end])
				c->end++;
			else
				c->end = p[i] == '\r' ? 1 : 0;
			if (c->end == 5)
				take_message(c);
			continue;
		}
		if (c->line_len < sizeof(c->line) - 1)
			c->line[c->line_len++] = p[i];
		if (p[i] != '\n')
			continue;
		c->line[c->line_len] = 0;
		c->line_len = 0;
		if (!command(c))
			return false;
	}
	return flush(c);
}

static void
serve(struct client *c)
{
	static char buf[65536];
	ssize_t n = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0 && take(c, buf, (size_t)n))
		return;
	close(c->fd);
	free(c);
}

static void
welcome(int listener)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct client *c;
	int one = 1, fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if ((c = calloc(1, sizeof(*c))) == NULL) {
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->fd = fd;
	event.data.ptr = c;
	sessions++;
	say(c, "220 sink.example.org ESMTP\r\n");
	if (!flush(c) || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
		close(fd);
		free(c);
	}
}

int
main(int argc, char **argv)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct epoll_event event = { .events = EPOLLIN }, events[EVENTS];
	double until;
	int one = 1, opt, listener, seconds = 120;

	while ((opt = getopt(argc, argv, "p:n:t:o:")) != -1) {
		if (opt == 'p')
			sin.sin_port = htons((uint16_t)strtoul(optarg, NULL, 10));
		else if (opt == 'n')
			wanted = strtoull(optarg, NULL, 10);
		else if (opt == 't')
			seconds = (int)strtol(optarg, NULL, 10);
		else if (opt == 'o' && (kept = fopen(optarg, "a")) != NULL)
			continue;
		else
			return 64;
	}
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (listener < 0 || epoll_fd < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
	    bind(listener, (struct sockaddr *)&sin, sizeof(sin)) != 0 || listen(listener, 1024) != 0 ||
	    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event) != 0) {
		perror("sink");
		return 71;
	}
	puts("ready");
	fflush(stdout);
	for (until = now() + seconds; messages < wanted && now() < until;) {
		int n = epoll_wait(epoll_fd, events, EVENTS, 100);

		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == NULL)
				welcome(listener);
			else
				serve(events[i].data.ptr);
		}
	}
	printf("{\"messages\": %llu, \"sessions\": %llu, \"octets\": %llu, \"seconds\": %.6f}\n", (unsigned long long)messages,
	    (unsigned long long)sessions, (unsigned long long)octets, last - first);
	return messages < wanted;
}
