/// The Python worker host, carried inside the binary as bytes (`#embed`).
///
/// `Supervision` writes the files to a folder HOST, puts HOST on PYTHONPATH and starts
/// `PYTHON HOST/proxyapp/zygote.py`.
#pragma once
#include <stddef.h>

/// One file of the worker host: its path below HOST (NUL-terminated, `/` between the parts), and
/// its bytes, which live as long as the process.
typedef struct CAppHostFile {
    const char *path;
    const unsigned char *bytes;
    size_t count;
} CAppHostFile;

/// How many files there are.
extern const size_t capphost_file_count;

/// The file at `index`; all fields are 0 when there is none.
CAppHostFile capphost_file(size_t index);
