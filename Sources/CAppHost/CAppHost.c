#include "CAppHost.h"
#include <string.h>

// `#embed` is C23; clang has it in every C mode and only says so.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const uint8_t init_py[] = {
#embed "python/proxyapp/__init__.py"
};
static const uint8_t answer_py[] = {
#embed "python/proxyapp/answer.py"
};
static const uint8_t body_py[] = {
#embed "python/proxyapp/body.py"
};
static const uint8_t bridge_py[] = {
#embed "python/proxyapp/bridge.py"
};
static const uint8_t channel_py[] = {
#embed "python/proxyapp/channel.py"
};
static const uint8_t connection_py[] = {
#embed "python/proxyapp/connection.py"
};
static const uint8_t failure_py[] = {
#embed "python/proxyapp/failure.py"
};
static const uint8_t guard_py[] = {
#embed "python/proxyapp/guard.py"
};
static const uint8_t head_py[] = {
#embed "python/proxyapp/head.py"
};
static const uint8_t loading_py[] = {
#embed "python/proxyapp/loading.py"
};
static const uint8_t signals_py[] = {
#embed "python/proxyapp/signals.py"
};
static const uint8_t worker_py[] = {
#embed "python/proxyapp/worker.py"
};
static const uint8_t zygote_py[] = {
#embed "python/proxyapp/zygote.py"
};

#define FILE_OF(name, array) { "proxyapp/" name, array, sizeof(array) }

const CAppHostFile capphost_files[] = {
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

size_t capphost_file_count(void) { return sizeof(capphost_files) / sizeof(capphost_files[0]); }

size_t capphost_path_size(size_t file) {
    return file < capphost_file_count() ? strlen(capphost_files[file].path) : 0;
}

uint8_t capphost_path_byte(size_t file, size_t offset) {
    return offset < capphost_path_size(file) ? (uint8_t)capphost_files[file].path[offset] : 0;
}

size_t capphost_file_size(size_t file) {
    return file < capphost_file_count() ? capphost_files[file].count : 0;
}

uint8_t capphost_file_byte(size_t file, size_t offset) {
    return offset < capphost_file_size(file) ? capphost_files[file].bytes[offset] : 0;
}
