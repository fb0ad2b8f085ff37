#include "CAppHost.h"

// `#embed` is C23; clang has it in every C mode and only says so.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char init_py[] = {
#embed "python/proxyapp/__init__.py"
};
static const unsigned char answer_py[] = {
#embed "python/proxyapp/answer.py"
};
static const unsigned char body_py[] = {
#embed "python/proxyapp/body.py"
};
static const unsigned char bridge_py[] = {
#embed "python/proxyapp/bridge.py"
};
static const unsigned char channel_py[] = {
#embed "python/proxyapp/channel.py"
};
static const unsigned char connection_py[] = {
#embed "python/proxyapp/connection.py"
};
static const unsigned char failure_py[] = {
#embed "python/proxyapp/failure.py"
};
static const unsigned char guard_py[] = {
#embed "python/proxyapp/guard.py"
};
static const unsigned char head_py[] = {
#embed "python/proxyapp/head.py"
};
static const unsigned char loading_py[] = {
#embed "python/proxyapp/loading.py"
};
static const unsigned char signals_py[] = {
#embed "python/proxyapp/signals.py"
};
static const unsigned char worker_py[] = {
#embed "python/proxyapp/worker.py"
};
static const unsigned char zygote_py[] = {
#embed "python/proxyapp/zygote.py"
};

#define FILE_OF(name, array) { "proxyapp/" name, array, sizeof(array) }

static const CAppHostFile files[] = {
    FILE_OF("__init__.py", init_py),
    FILE_OF("answer.py", answer_py),
    FILE_OF("body.py", body_py),
    FILE_OF("bridge.py", bridge_py),
    FILE_OF("channel.py", channel_py),
    FILE_OF("connection.py", connection_py),
    FILE_OF("failure.py", failure_py),
    FILE_OF("guard.py", guard_py),
    FILE_OF("head.py", head_py),
    FILE_OF("loading.py", loading_py),
    FILE_OF("signals.py", signals_py),
    FILE_OF("worker.py", worker_py),
    FILE_OF("zygote.py", zygote_py),
};

const size_t capphost_file_count = sizeof(files) / sizeof(files[0]);

CAppHostFile capphost_file(size_t index) {
    if (index < capphost_file_count) { return files[index]; }
    return (CAppHostFile){ 0, 0, 0 };
}
