/* The server of network.py: a process for each connection, which answers GET /big with a gigabyte of zeros and anything
   else with a word. Its queue of connections is long, where those of small servers hold nine. */
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void end(int number) { _exit(0); }

static void put(int client, const char *data, size_t size) {
    while (size) {
        ssize_t done = write(client, data, size);
        if (done <= 0) _exit(1);
        data += done, size -= done;
    }
}

static void serve(int client) {
    static char request[4096], zeros[1 << 16];
    size_t size = 0;
    while (!strstr(request, "\r\n\r\n")) {
        ssize_t got = read(client, request + size, sizeof request - 1 - size);
        if (got <= 0) _exit(1);
        size += got;
    }
    const char *small = "HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n";
    const char *big = "HTTP/1.0 200 OK\r\nContent-Length: 1073741824\r\n\r\n";
    if (strncmp(request, "GET /big ", 9)) {
        put(client, small, strlen(small));
    } else {
        put(client, big, strlen(big));
        for (int i = 0; i < 1 << 14; i++) put(client, zeros, sizeof zeros);
    }
    _exit(0);
}

int main(void) {
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(80)};
    int one = 1, queue = socket(AF_INET, SOCK_STREAM, 0);
    signal(SIGTERM, end);
    signal(SIGCHLD, SIG_IGN);
    setsockopt(queue, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(queue, (struct sockaddr *)&any, sizeof any) || listen(queue, 4096)) return 1;
    for (;;) {
        int client = accept(queue, 0, 0);
        if (client >= 0 && fork() == 0) serve(client);
        close(client);
    }
}
