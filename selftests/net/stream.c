// SPDX-License-Identifier: GPL-2.0
/*
 * stream: traffic whose every byte is checked. It runs on the host and in
 * guests, so it is linked statically and needs no name service.
 *
 *	stream serve PORT                            answer the next two
 *	stream send ADDRESS PORT MIB SEED            client to server
 *	stream receive ADDRESS PORT MIB SEED         server to client
 *	stream flood ADDRESS PORT SIZE               datagrams, until killed
 *
 * Both ends make the same pseudorandom bytes of SEED; the receiving one
 * compares. The exit status is 0 if all arrived unchanged.
 */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BLOCK (64 << 10)
#define MAGIC 0x6b68782d73747265ULL

/* What a client asks of the server. */
struct request {
	uint64_t magic;
	uint64_t bytes;
	uint64_t seed;
	uint64_t to_client;
};

static uint64_t next_word(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *state = x;
}

static void fill_block(uint64_t *state, uint64_t *block)
{
	size_t i;

	for (i = 0; i < BLOCK / sizeof(*block); i++)
		block[i] = next_word(state);
}

/* Never zero, from which xorshift does not get away. */
static uint64_t first_state(uint64_t seed)
{
	return seed * 0x9e3779b97f4a7c15ULL | 1;
}

static bool write_all(int fd, const void *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n <= 0)
			return false;
		data = (const char *)data + n;
		len -= n;
	}
	return true;
}

static bool read_all(int fd, void *data, size_t len)
{
	while (len) {
		ssize_t n = read(fd, data, len);

		if (n <= 0)
			return false;
		data = (char *)data + n;
		len -= n;
	}
	return true;
}

static bool send_stream(int fd, const struct request *req)
{
	uint64_t state = first_state(req->seed), block[BLOCK / 8], verdict;
	uint64_t done;

	for (done = 0; done < req->bytes; done += BLOCK) {
		fill_block(&state, block);
		if (!write_all(fd, block, BLOCK)) {
			warn("after %llu bytes", (unsigned long long)done);
			return false;
		}
	}
	/* The receiver says how many were right. */
	if (!read_all(fd, &verdict, sizeof(verdict))) {
		warn("no verdict");
		return false;
	}
	return verdict == req->bytes;
}

static bool receive_stream(int fd, const struct request *req)
{
	uint64_t state = first_state(req->seed), want[BLOCK / 8];
	uint64_t got[BLOCK / 8], done;

	for (done = 0; done < req->bytes; done += BLOCK) {
		if (!read_all(fd, got, BLOCK)) {
			warn("after %llu bytes", (unsigned long long)done);
			return false;
		}
		fill_block(&state, want);
		if (memcmp(got, want, BLOCK)) {
			warnx("wrong bytes after %llu",
			      (unsigned long long)done);
			break;
		}
	}
	return write_all(fd, &done, sizeof(done)) && done == req->bytes;
}

static void serve_client(int fd)
{
	struct request req;
	bool ok;

	if (!read_all(fd, &req, sizeof(req)) || req.magic != MAGIC)
		exit(1);
	ok = req.to_client ? send_stream(fd, &req) : receive_stream(fd, &req);
	exit(!ok);
}

/* IPv6 sockets serve IPv4 too. */
static int serve(int port)
{
	struct sockaddr_in6 addr = {
		.sin6_family = AF_INET6,
		.sin6_port = htons(port),
	};
	int one = 1, fd = socket(AF_INET6, SOCK_STREAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (void *)&addr, sizeof(addr)) || listen(fd, 64))
		err(1, "port %d", port);
	signal(SIGCHLD, SIG_IGN);
	while (true) {
		int client = accept(fd, NULL, NULL);

		if (client < 0)
			err(1, "accept");
		if (!fork())
			serve_client(client);
		close(client);
	}
}

static socklen_t parse_address(const char *text, int port,
			       struct sockaddr_storage *addr)
{
	struct sockaddr_in6 *in6 = (void *)addr;
	struct sockaddr_in *in = (void *)addr;

	memset(addr, 0, sizeof(*addr));
	if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		return sizeof(*in);
	}
	if (inet_pton(AF_INET6, text, &in6->sin6_addr) != 1)
		errx(2, "not an address: %s", text);
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	return sizeof(*in6);
}

static int connect_to(const char *text, int port, int type)
{
	struct sockaddr_storage addr;
	socklen_t len = parse_address(text, port, &addr);
	int fd = socket(addr.ss_family, type, 0);

	if (fd < 0 || connect(fd, (void *)&addr, len))
		err(1, "%s", text);
	return fd;
}

static int transfer(char **argv, bool to_client)
{
	struct request req = {
		.magic = MAGIC,
		.bytes = strtod(argv[2], NULL) * (1 << 20),
		.seed = strtoull(argv[3], NULL, 0),
		.to_client = to_client,
	};
	int fd = connect_to(argv[0], atoi(argv[1]), SOCK_STREAM);
	struct timespec start, end;
	double seconds;
	bool ok;

	clock_gettime(CLOCK_MONOTONIC, &start);
	ok = write_all(fd, &req, sizeof(req)) &&
	     (to_client ? receive_stream(fd, &req) : send_stream(fd, &req));
	clock_gettime(CLOCK_MONOTONIC, &end);
	seconds = end.tv_sec - start.tv_sec +
		  (end.tv_nsec - start.tv_nsec) / 1e9;
	printf("%s MiB in %.1f s: %s\n", argv[2], seconds,
	       ok ? "all right" : "WRONG");
	return !ok;
}

/* Losses are no concern here: as fast as it goes, whatever happens. */
static int flood(char **argv)
{
	int size = atoi(argv[2]), fd;
	static char data[65000];

	if (size < 1 || size > (int)sizeof(data))
		errx(2, "bad size");
	fd = connect_to(argv[0], atoi(argv[1]), SOCK_DGRAM);
	while (true)
		if (send(fd, data, size, 0) < 0)
			usleep(1000);
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc == 3 && !strcmp(argv[1], "serve"))
		return serve(atoi(argv[2]));
	if (argc == 6 && !strcmp(argv[1], "send"))
		return transfer(argv + 2, false);
	if (argc == 6 && !strcmp(argv[1], "receive"))
		return transfer(argv + 2, true);
	if (argc == 5 && !strcmp(argv[1], "flood"))
		return flood(argv + 2);
	errx(2, "usage: see the top of stream.c");
}
