#include "CLinux.h"

/* The control-message macros of sendmsg and recvmsg cannot be imported. */

ssize_t clinux_send_message(int fd, const void *bytes, size_t count, const int *descriptors, size_t descriptor_count) {
    union { struct cmsghdr header; char room[CMSG_SPACE(sizeof(int) * CLINUX_MESSAGE_DESCRIPTORS)]; } control;
    struct iovec piece = { .iov_base = (void *)bytes, .iov_len = count };
    struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };
    if (descriptor_count > CLINUX_MESSAGE_DESCRIPTORS) { errno = EINVAL; return -1; }
    if (descriptor_count > 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * descriptor_count);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * descriptor_count);
        memcpy(CMSG_DATA(header), descriptors, sizeof(int) * descriptor_count);
    }
    return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

ssize_t clinux_receive_message(int fd, void *bytes, size_t room, int *descriptors, size_t *descriptor_count, int *truncated) {
    union { struct cmsghdr header; char room[CMSG_SPACE(sizeof(int) * CLINUX_MESSAGE_DESCRIPTORS)]; } control;
    struct iovec piece = { .iov_base = bytes, .iov_len = room };
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control,
    };
    size_t descriptor_room = *descriptor_count;
    *descriptor_count = 0;
    *truncated = 0;
    ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (got < 0) return got;
    *truncated = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int number;
            memcpy(&number, CMSG_DATA(header) + i * sizeof(int), sizeof number);
            if (*descriptor_count < descriptor_room) descriptors[(*descriptor_count)++] = number;
            else { close(number); *truncated = 1; }
        }
    }
    return got;
}
