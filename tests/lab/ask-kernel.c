/* Makes one system call: `ask-kernel NAME|NUMBER [ARGUMENT...]` prints what became of it, "ok" or the error.
   `ask-kernel tiocsti` types a letter into the terminal that is its standard input. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct { const char *name; long number; } CALLS[] = {
    {"add_key", SYS_add_key}, {"bpf", SYS_bpf}, {"chroot", SYS_chroot}, {"clone", SYS_clone}, {"clone3", SYS_clone3},
    {"io_uring_setup", SYS_io_uring_setup}, {"kcmp", SYS_kcmp}, {"keyctl", SYS_keyctl}, {"mount", SYS_mount},
    {"personality", SYS_personality}, {"perf_event_open", SYS_perf_event_open}, {"ptrace", SYS_ptrace},
    {"setns", SYS_setns}, {"socket", SYS_socket}, {"umount2", SYS_umount2}, {"unshare", SYS_unshare},
    {"userfaultfd", SYS_userfaultfd},
};

static long number(const char *name)
{
    for (size_t i = 0; i < sizeof CALLS / sizeof *CALLS; i++)
        if (!strcmp(CALLS[i].name, name))
            return CALLS[i].number;
    return strtol(name, NULL, 0);
}

int main(int argc, char **argv)
{
    long arguments[6] = {0};

    for (int i = 0; i < 6 && i + 2 < argc; i++)
        arguments[i] = (long) strtoul(argv[i + 2], NULL, 0);
    long result = !strcmp(argv[1], "tiocsti")
        ? ioctl(0, TIOCSTI, "x")
        : syscall(number(argv[1]), arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
    if (result == 0 && !strcmp(argv[1], "clone"))
        return 0; /* the child, should there be one */
    puts(result == -1 ? strerror(errno) : "ok");
    return 0;
}
