/// The Python worker host, carried inside the binary as bytes (`#embed`).
///
/// `Supervision` writes the files to a folder HOST, puts HOST on PYTHONPATH and starts
/// `PYTHON HOST/proxyapp/zygote.py`.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// One file of the worker host: its path below HOST (`/` between the parts, NUL at the end), and
/// its bytes. Both live as long as the process.
typedef struct CAppHostFile {
    const char *path;
    const uint8_t *bytes;
    size_t count;
} CAppHostFile;

/// All files, `capphost_file_count()` of them.
extern const CAppHostFile capphost_files[];

/// The same without pointers, for rooms that stay free of `unsafe`. There are as many files as
/// `capphost_file_count()` says; a file or an offset that is not there has size 0 and byte 0.
size_t capphost_file_count(void);
/// Bytes in the path of a file, without the NUL.
size_t capphost_path_size(size_t file);
uint8_t capphost_path_byte(size_t file, size_t offset);
/// Bytes in a file.
size_t capphost_file_size(size_t file);
uint8_t capphost_file_byte(size_t file, size_t offset);
