/* Preloaded into the master by `make bench`: edges are started under callgrind, everything else as always.
 *
 * valgrind 3.19 knows no pidfd_open and so cannot run the master itself. CALLGRIND_OUTPUT is the file to write,
 * CALLGRIND_BINARY the program with its debug information taken off, which that valgrind cannot read either.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { argumentsMax = 64 };

typedef int spawn_function(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,
                           char *const[], char *const[]);

int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *traits,
                char *const arguments[], char *const environment[]) {
    spawn_function *spawn = (spawn_function *)dlsym(RTLD_NEXT, "posix_spawn");
    int is_edge = 0, count = 0;
    for (int i = 0; arguments[i]; i++) is_edge |= strcmp(arguments[i], "edge") == 0;
    if (!is_edge) return spawn(pid, path, actions, traits, arguments, environment);

    static char output[4200];
    snprintf(output, sizeof output, "--callgrind-out-file=%s", getenv("CALLGRIND_OUTPUT"));
    char *wrapped[argumentsMax] = {"valgrind", "--tool=callgrind", "--quiet", "--vgdb=no", output, getenv("CALLGRIND_BINARY")};
    for (count = 6; count < argumentsMax - 1 && arguments[count - 5]; count++) wrapped[count] = arguments[count - 5];
    return spawn(pid, "/usr/bin/valgrind", actions, traits, wrapped, environment);
}
