/// `fork`, which Swift does not import: for the crash tests' helper, a process of one thread.
#pragma once
#include <unistd.h>
static inline int cfork_fork(void) { return fork(); }
