/* A stand-in for the program that the tester runs inside containers: static, so it needs nothing of the image. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int echo(FILE *stream, char **words)
{
    for (char **word = words; *word; word++)
        fprintf(stream, "%s%s", word == words ? "" : " ", *word);
    fputc('\n', stream);
    return 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int list(const char *directory)
{
    struct dirent **entries;
    int count = scandir(directory, &entries, NULL, by_name);

    if (count < 0) {
        fprintf(stderr, "%s\n", strerror(errno));
        return 2;
    }
    for (int i = 0; i < count; i++)
        if (strcmp(entries[i]->d_name, ".") && strcmp(entries[i]->d_name, ".."))
            puts(entries[i]->d_name);
    return 0;
}

static int touch(const char *path)
{
    int file = open(path, O_WRONLY | O_CREAT, 0644);

    if (file < 0) {
        fprintf(stderr, "%s\n", strerror(errno));
        return 1;
    }
    return close(file);
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";

    if (!strcmp(command, "echo"))
        return echo(stdout, argv + 2);
    if (!strcmp(command, "echo_stderr"))
        return echo(stderr, argv + 2);
    if (!strcmp(command, "exit") && argc == 3)
        return atoi(argv[2]);
    if (!strcmp(command, "ls") && argc == 3)
        return list(argv[2]);
    if (!strcmp(command, "mypid"))
        return printf("%d\n", getpid()) < 0;
    if (!strcmp(command, "touch") && argc == 3)
        return touch(argv[2]);
    fprintf(stderr, "usage: docker-explorer echo|echo_stderr|exit|ls|mypid|touch [ARG...]\n");
    return 1;
}
