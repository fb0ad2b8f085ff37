/// c-ares (libc-ares-dev), asked for addresses with their time to live. Its callbacks cannot be written in Swift
/// without unsafe code, so this keeps the answers and hands them out as plain values. No decisions are made here.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// Most addresses kept of one answer; a service behind a name has a handful.
#define CCARES_ADDRESSES_MAX 64

typedef struct ccares_resolver ccares_resolver;

/// What became of one question.
typedef struct ccares_answer {
    /// The number the question was asked with.
    uint64_t question;
    /// 0, or an error of c-ares (`ccares_error`).
    int status;
    /// The smallest time to live of the addresses in seconds; -1 when they have none (a hosts file).
    int ttl;
    size_t count;
} ccares_answer;

/// A resolver by the system's configuration; null when there is no memory, or no configuration that can be read.
ccares_resolver *ccares_new(void);
void ccares_free(ccares_resolver *resolver);
/// Asks for all addresses of a name.
void ccares_ask(ccares_resolver *resolver, const char *name, uint64_t question);
/// Waits until `control` is readable, an answer has come, or the time is over; 1 when `control` is readable.
int ccares_wait(ccares_resolver *resolver, int control, int milliseconds);
/// Takes the oldest answer; 0 when there is none.
int ccares_take(ccares_resolver *resolver, ccares_answer *answer);
/// An address of the answer taken last, as text of at most 46 bytes with its end; empty past the last.
const char *ccares_address(ccares_resolver *resolver, size_t index);
/// An error of c-ares for people.
const char *ccares_error(int status);
