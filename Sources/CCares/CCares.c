#include "CCares.h"
#include <ares.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct stored {
    ccares_answer answer;
    char addresses[CCARES_ADDRESSES_MAX][INET6_ADDRSTRLEN];
    struct stored *next;
};

struct ccares_resolver {
    ares_channel channel;
    struct stored *first, *last, *taken;
};

struct question {
    ccares_resolver *resolver;
    uint64_t number;
};

ccares_resolver *ccares_new(void) {
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) return NULL;
    ccares_resolver *resolver = calloc(1, sizeof *resolver);
    if (!resolver) return NULL;
    struct ares_options options = { .timeout = 2000, .tries = 3 };
    if (ares_init_options(&resolver->channel, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES) != ARES_SUCCESS) {
        free(resolver);
        return NULL;
    }
    return resolver;
}

void ccares_free(ccares_resolver *resolver) {
    ares_destroy(resolver->channel);
    for (struct stored *each = resolver->first, *next; each; each = next) { next = each->next; free(each); }
    free(resolver->taken);
    free(resolver);
}

static void answered(void *argument, int status, int timeouts, struct ares_addrinfo *result) {
    (void)timeouts;
    struct question *question = argument;
    ccares_resolver *resolver = question->resolver;
    struct stored *stored = calloc(1, sizeof *stored);
    if (stored) {
        stored->answer.question = question->number;
        stored->answer.status = status;
        stored->answer.ttl = -1;
        for (struct ares_addrinfo_node *node = result ? result->nodes : NULL; node; node = node->ai_next) {
            const void *address = node->ai_family == AF_INET
                ? (void *)&((struct sockaddr_in *)(void *)node->ai_addr)->sin_addr
                : (void *)&((struct sockaddr_in6 *)(void *)node->ai_addr)->sin6_addr;
            if (stored->answer.count == CCARES_ADDRESSES_MAX) break;
            if (node->ai_family != AF_INET && node->ai_family != AF_INET6) continue;
            char *text = stored->addresses[stored->answer.count];
            if (!inet_ntop(node->ai_family, address, text, INET6_ADDRSTRLEN)) continue;
            stored->answer.count++;
            if (node->ai_ttl > 0 && (stored->answer.ttl < 0 || node->ai_ttl < stored->answer.ttl))
                stored->answer.ttl = node->ai_ttl;
        }
        if (resolver->last) resolver->last->next = stored; else resolver->first = stored;
        resolver->last = stored;
    }
    if (result) ares_freeaddrinfo(result);
    free(question);
}

void ccares_ask(ccares_resolver *resolver, const char *name, uint64_t number) {
    struct question *question = malloc(sizeof *question);
    if (!question) return;
    *question = (struct question){ resolver, number };
    struct ares_addrinfo_hints hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = ARES_AI_NOSORT };
    ares_getaddrinfo(resolver->channel, name, NULL, &hints, answered, question);
}

int ccares_wait(ccares_resolver *resolver, int control, int milliseconds) {
    if (resolver->first) milliseconds = 0;
    ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
    struct pollfd entries[ARES_GETSOCK_MAXNUM + 1];
    int wanted = ares_getsock(resolver->channel, sockets, ARES_GETSOCK_MAXNUM);
    nfds_t count = 0;
    entries[count++] = (struct pollfd){ .fd = control, .events = POLLIN };
    for (int i = 0; i < ARES_GETSOCK_MAXNUM; i++) {
        short events = (ARES_GETSOCK_READABLE(wanted, i) ? POLLIN : 0) | (ARES_GETSOCK_WRITABLE(wanted, i) ? POLLOUT : 0);
        if (events) entries[count++] = (struct pollfd){ .fd = sockets[i], .events = events };
    }
    struct timeval most = { milliseconds / 1000, milliseconds % 1000 * 1000 }, wait;
    struct timeval *next = ares_timeout(resolver->channel, &most, &wait);
    int time = (int)(next->tv_sec * 1000 + (next->tv_usec + 999) / 1000);
    poll(entries, count, time);
    for (nfds_t i = 1; i < count; i++) {
        if (!entries[i].revents) continue;
        short found = entries[i].revents;
        ares_process_fd(resolver->channel,
            found & (POLLIN | POLLERR | POLLHUP) ? entries[i].fd : ARES_SOCKET_BAD,
            found & POLLOUT ? entries[i].fd : ARES_SOCKET_BAD);
    }
    ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    return entries[0].revents != 0;
}

int ccares_take(ccares_resolver *resolver, ccares_answer *answer) {
    free(resolver->taken);
    resolver->taken = resolver->first;
    if (!resolver->taken) return 0;
    resolver->first = resolver->taken->next;
    if (!resolver->first) resolver->last = NULL;
    *answer = resolver->taken->answer;
    return 1;
}

const char *ccares_address(ccares_resolver *resolver, size_t index) {
    return resolver->taken && index < resolver->taken->answer.count ? resolver->taken->addresses[index] : "";
}

const char *ccares_error(int status) { return ares_strerror(status); }
