/* dump-tree DIRECTORY: a line for each file in there, sorted by nobody, with all that can be seen of it.
 *
 *     path  type  mode  user  group  mtime  what  inode  NAME=HEX of each extended attribute, …
 *
 * `what` is the size, the sum of the contents and `s` if some of it is a hole, the target of a link, or a device's numbers.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

static size_t top;

static void contents(const char *path, const struct stat *found)
{
    unsigned char piece[65536];
    unsigned sum = 2166136261u; /* FNV-1a */
    ssize_t size;
    int file = open(path, O_RDONLY);
    while (file >= 0 && (size = read(file, piece, sizeof piece)) > 0)
        for (ssize_t i = 0; i < size; i++)
            sum = (sum ^ piece[i]) * 16777619u;
    if (file >= 0)
        close(file);
    printf("%lld:%u%s", (long long)found->st_size, sum, found->st_blocks * 512 < found->st_size ? "s" : "");
}

static void attributes(const char *path)
{
    char names[4096], value[4096];
    ssize_t all = llistxattr(path, names, sizeof names);
    for (char *name = names; all > 0 && name < names + all; name += strlen(name) + 1) {
        ssize_t size = lgetxattr(path, name, value, sizeof value);
        if (strncmp(name, "user.", 5) && strcmp(name, "security.capability"))
            continue;
        printf("\t%s=", name);
        for (ssize_t i = 0; i < size; i++)
            printf("%02x", (unsigned char)value[i]);
    }
}

static int show(const char *path, const struct stat *found, int flag, struct FTW *place)
{
    char target[4096] = "";
    (void)flag, (void)place;
    printf("%s\t%o\t%o\t%u\t%u\t%lld.%09ld\t", path[top] ? path + top + 1 : "", found->st_mode & S_IFMT,
           found->st_mode & 07777, found->st_uid, found->st_gid, (long long)found->st_mtim.tv_sec, found->st_mtim.tv_nsec);
    if (S_ISREG(found->st_mode))
        contents(path, found);
    if (S_ISLNK(found->st_mode) && readlink(path, target, sizeof target - 1) >= 0)
        printf("%s", target);
    if (S_ISCHR(found->st_mode) || S_ISBLK(found->st_mode))
        printf("%u:%u", major(found->st_rdev), minor(found->st_rdev));
    printf("\t%llu", (unsigned long long)found->st_ino);
    attributes(path);
    printf("\n");
    return 0;
}

int main(int count, char **words)
{
    if (count != 2)
        return 2;
    top = strlen(words[1]);
    return nftw(words[1], show, 32, FTW_PHYS) ? 1 : 0;
}
