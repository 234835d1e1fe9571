/* change-file attribute PATH NAME VALUE | change-file lock PATH: what busybox has no command for. */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/xattr.h>

int main(int count, char **words)
{
    if (count == 5 && strcmp(words[1], "attribute") == 0) {
        if (setxattr(words[2], words[3], words[4], strlen(words[4]), 0) == 0)
            return 0;
    } else if (count == 3 && strcmp(words[1], "lock") == 0) {
        int file = open(words[2], O_RDWR);
        if (file >= 0 && flock(file, LOCK_EX) == 0)
            return 0;
    }
    perror("change-file");
    return 1;
}
