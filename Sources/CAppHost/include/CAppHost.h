/// The Python worker host, carried inside the binary as bytes (`#embed`), written out by `Supervision`.
#pragma once
#include <stddef.h>
