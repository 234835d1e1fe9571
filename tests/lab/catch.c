/* Process 1 of a container: stops the first process of mydocker's that appears next to it, takes what it holds with
   /take-over WORD..., prints "caught", and lets it go on: `catch WORD...`. Prints "missed" for a process that is a
   command already, or has come and gone unseen, and waits for the next. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int is_mydocker(int pid)
{
    char path[64], line[256] = "";
    snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
    int fd = open(path, O_RDONLY);
    if (fd >= 0) {
        read(fd, line, sizeof line - 1);
        close(fd);
    }
    return !strncmp(line, "mydocker", 8) || strstr(line, "python");
}

/* Wait until the process has stopped, or ended: a signal is sent before it is heeded, and execve(2) may come between
   (proc_pid_stat(5)). */
static void await_stop(int pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    for (;;) {
        char line[512] = "";
        int fd = open(path, O_RDONLY);
        if (fd < 0)
            return;
        read(fd, line, sizeof line - 1);
        close(fd);
        char *name_end = strrchr(line, ')');
        if (!name_end || strchr("TtZX", name_end[2]))
            return;
    }
}

/* The newest process of this namespace: proc_loadavg(5). */
static int last_pid(void)
{
    char line[128] = "";
    int fd = open("/proc/loadavg", O_RDONLY);
    read(fd, line, sizeof line - 1);
    close(fd);
    char *word = strrchr(line, ' ');
    return word ? atoi(word) : 0;
}

int main(int argc, char **argv)
{
    int next = 2;
    unsigned tries = 0;
    argv[0] = "/take-over";
    puts("up");
    fflush(stdout);
    for (;;) {
        if (kill(next, SIGSTOP)) {
            if (++tries % 1000 == 0 && last_pid() >= next && kill(next, 0)) {
                puts("missed");
                fflush(stdout);
                next++;
            }
            continue;
        }
        await_stop(next);
        int found = is_mydocker(next);
        if (found && !fork()) {
            execv("/take-over", argv);
            _exit(1);
        }
        if (found)
            wait(NULL);
        puts(found ? "caught" : "missed");
        fflush(stdout);
        kill(next, SIGCONT);
        if (found)
            for (;;)
                pause();
        while (!kill(next, 0))
            ;
        next++;
    }
}
