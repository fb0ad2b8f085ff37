/// What Swift cannot import from glibc and the kernel by itself: feature-test macros, variadic
/// functions, packed structs and function-like macros. No logic lives here.
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sockios.h>
#include <grp.h>
#include <dirent.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static inline int clinux_errno(void) { return errno; }
static inline int clinux_fcntl(int fd, int command, int argument) { return fcntl(fd, command, argument); }
static inline int clinux_open(const char *path, int flags, mode_t mode) { return open(path, flags, mode); }
static inline int clinux_prctl(int option, unsigned long argument) { return prctl(option, argument, 0, 0, 0); }

/* Processes (supervision) */
static inline int clinux_pidfd_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }
static inline int clinux_pidfd_signal(int fd, int number) { return (int)syscall(SYS_pidfd_send_signal, fd, number, NULL, 0); }
static inline int clinux_status_exited(int status) { return WIFEXITED(status); }
static inline int clinux_status_code(int status) { return WEXITSTATUS(status); }
static inline int clinux_status_signal(int status) { return WIFSIGNALED(status) ? WTERMSIG(status) : 0; }
static inline int clinux_waitpid(pid_t pid, int *status, int options) { return waitpid(pid, status, options); }
/** Most descriptors that one message carries; the kernel's own limit is 253. */
#define CLINUX_MESSAGE_DESCRIPTORS 64
/** Sends one packet with descriptors (SCM_RIGHTS); the result is that of sendmsg. */
ssize_t clinux_send_message(int fd, const void *bytes, size_t count, const int *descriptors, size_t descriptor_count);
/** Receives one packet and its descriptors, close-on-exec; `descriptor_count` is room in, number out.
 *  `truncated` is set when the packet or its descriptors did not fit. */
ssize_t clinux_receive_message(int fd, void *bytes, size_t room, int *descriptors, size_t *descriptor_count, int *truncated);
/** The processors this process may run on, 0 when the kernel does not say. */
static inline int clinux_affinity_count(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;
}
/** setrlimit and getrlimit take an enum in C and cannot be called with a plain number from Swift. */
static inline int clinux_limit_read(int resource, uint64_t *soft, uint64_t *hard) {
    struct rlimit limit;
    if (getrlimit((__rlimit_resource_t)resource, &limit) != 0) return -1;
    *soft = limit.rlim_cur; *hard = limit.rlim_max;
    return 0;
}
static inline int clinux_limit_write(int resource, uint64_t soft, uint64_t hard) {
    struct rlimit limit = { .rlim_cur = soft, .rlim_max = hard };
    return setrlimit((__rlimit_resource_t)resource, &limit);
}
static inline int clinux_rlimit_nofile(void) { return (int)RLIMIT_NOFILE; }
static inline int clinux_rlimit_core(void) { return (int)RLIMIT_CORE; }
static inline int clinux_setresuid(uid_t id) { return setresuid(id, id, id); }
static inline int clinux_setresgid(gid_t id) { return setresgid(id, id, id); }
/** A short option whose value is an int. */
static inline int clinux_set_option(int fd, int level, int name, int value) {
    return setsockopt(fd, level, name, &value, sizeof value);
}
/* Takes a listening socket off every network interface, by binding it to one that cannot be: new connections do not
 * find it any more, those that are being made and those that wait stay. Needs no right (socket(7); Linux 5.7). */
static inline int clinux_leave_interfaces(int fd) {
    int none = 0x7fffffff;
    return setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &none, sizeof none);
}
static inline int clinux_is_directory(mode_t mode) { return S_ISDIR(mode); }
static inline int clinux_is_pipe(mode_t mode) { return S_ISFIFO(mode); }
static inline int clinux_is_regular(mode_t mode) { return S_ISREG(mode); }
static inline int clinux_is_socket(mode_t mode) { return S_ISSOCK(mode); }
static inline int clinux_flock_try(int fd) {
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    return fcntl(fd, F_OFD_SETLK, &lock);
}
static inline int clinux_socketpair_packets(int *pair) { return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair); }
/* glibc's transparent socket-address unions cannot be called from Swift. */
static inline int clinux_address_bind(int fd, const void *address, socklen_t size) { return bind(fd, (const struct sockaddr *)address, size); }
static inline int clinux_address_connect(int fd, const void *address, socklen_t size) { return connect(fd, (const struct sockaddr *)address, size); }
static inline int clinux_address_own(int fd, void *address, socklen_t *size) { return getsockname(fd, (struct sockaddr *)address, size); }
static inline int clinux_accept_plain(int fd, int flags) { return accept4(fd, NULL, NULL, flags); }
static inline ssize_t clinux_address_send(int fd, const void *bytes, size_t count, const void *address, socklen_t size) {
    return sendto(fd, bytes, count, MSG_NOSIGNAL, (const struct sockaddr *)address, size);
}
static inline int clinux_rename_process(const char *name) { return prctl(PR_SET_NAME, name, 0, 0, 0); }
static inline char **clinux_environment(void) { return environ; }
static inline void clinux_ignore_signal(int number) { signal(number, SIG_IGN); }
/// Swift cannot pass glibc's transparent unions, nor the enumerators that are macros of themselves.
static inline int clinux_accept(int socket, struct sockaddr_storage *address) {
    socklen_t size = sizeof *address;
    return accept4(socket, (struct sockaddr *)address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
}
/* Bytes the peer has not acknowledged (tcp(7), unix(7)); the result is that of ioctl. */
static inline int clinux_unacknowledged(int socket, int *count) { return ioctl(socket, SIOCOUTQ, count); }
static inline int clinux_connect(int socket, const void *address, socklen_t size) {
    return connect(socket, (const struct sockaddr *)address, size);
}
static inline int clinux_stream_socket(int family) {
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}
static inline int clinux_execve(const char *path, char *const *arguments, char *const *environment) { return execvpe(path, arguments, environment); }
static inline int clinux_openat(int folder, const char *path, int flags, mode_t mode) { return openat(folder, path, flags, mode); }
