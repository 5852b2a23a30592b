// SPDX-License-Identifier: BSD-3-Clause
//
// The promises of net/listener.h: addresses as redis.conf's `bind` writes them, Unix sockets with
// their permissions, failures that name the address and leave nothing open, socket options, address
// texts. Ports are asked from the kernel, so that the test runs beside anything else.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/listener.h"

static uint16_t port_of(int fd) {
    struct sockaddr_storage a;
    socklen_t n = sizeof(a);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    if (a.ss_family == AF_INET6) return ntohs(((struct sockaddr_in6 *)&a)->sin6_port);
    return ntohs(((struct sockaddr_in *)&a)->sin_port);
}

/** A port that was free a moment ago. */
static uint16_t free_port(void) {
    struct sockaddr_in a = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    uint16_t port = port_of(fd);
    close(fd);
    return port;
}

static int connect_to(const char *ip, uint16_t port) {
    struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    bool v6 = inet_pton(AF_INET, ip, &a4.sin_addr) != 1;
    if (v6) assert_int_equal(inet_pton(AF_INET6, ip, &a6.sin6_addr), 1);
    int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    int rc = v6 ? connect(fd, (struct sockaddr *)&a6, sizeof(a6))
                : connect(fd, (struct sockaddr *)&a4, sizeof(a4));
    if (rc == 0) return fd;
    close(fd);
    return -1;
}

static bool host_has_ipv6(void) {
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    if (fd < 0) return false;
    bool has = bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
    close(fd);
    return has;
}

static int accept_one(int fd) {
    for (int i = 0; i < 1000; i++) {
        int c = accept(fd, NULL, NULL);
        if (c >= 0) return c;
        assert_int_equal(errno, EAGAIN);
        usleep(1000);
    }
    fail_msg("nobody came");
    return -1;
}

static int int_option(int fd, int level, int option) {
    int value = 0;
    socklen_t n = sizeof(value);
    assert_int_equal(getsockopt(fd, level, option, &value, &n), 0);
    return value;
}

static void test_ipv4(void **state) {
    (void)state;
    struct listener_set set = {.count = 0};
    char error[256] = "", text[128], expected[128];
    uint16_t port = free_port();
    const char *addresses[] = {"127.0.0.1"};
    assert_int_equal(listener_open_tcp(&set, addresses, 1, port, 16, error, sizeof(error)), 0);
    assert_int_equal(set.count, 1);
    assert_int_equal(set.tags[0], 0);
    assert_true(fcntl(set.fds[0], F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(set.fds[0], F_GETFD) & FD_CLOEXEC);
    int client = connect_to("127.0.0.1", port);
    int fd = accept_one(set.fds[0]);
    snprintf(expected, sizeof(expected), "127.0.0.1:%u", port_of(client));
    assert_int_equal(listener_peer_text(fd, text, sizeof(text)), strlen(expected));
    assert_string_equal(text, expected);
    snprintf(expected, sizeof(expected), "127.0.0.1:%u", port);
    assert_int_equal(listener_own_text(fd, text, sizeof(text)), strlen(expected));
    assert_string_equal(text, expected);
    assert_int_equal(listener_own_text(fd, text, 5), 4);
    assert_string_equal(text, "127.");
    close(client);
    close(fd);
    listener_close(&set);
    assert_int_equal(set.count, 0);
    assert_true(connect_to("127.0.0.1", port) < 0);
}

static void test_ipv6_beside_ipv4(void **state) {
    (void)state;
    if (!host_has_ipv6()) skip();
    struct listener_set set = {.count = 0};
    char error[256] = "", text[128], expected[128];
    uint16_t port = free_port();
    // Redis's default: every address of both families, on one port.
    const char *addresses[] = {"*", "-::*"};
    assert_int_equal(listener_open_tcp(&set, addresses, 2, port, 16, error, sizeof(error)), 0);
    assert_int_equal(set.count, 2);
    int client = connect_to("::1", port);
    assert_true(client >= 0);
    int fd = accept_one(set.fds[1]);
    snprintf(expected, sizeof(expected), "[::1]:%u", port_of(client));
    listener_peer_text(fd, text, sizeof(text));
    assert_string_equal(text, expected);
    close(client);
    close(fd);
    client = connect_to("127.0.0.1", port);
    assert_true(client >= 0);
    close(accept_one(set.fds[0]));
    close(client);
    listener_close(&set);
}

static void test_absent_addresses(void **state) {
    (void)state;
    struct listener_set set = {.count = 0};
    char error[256] = "";
    uint16_t port = free_port();
    // 192.0.2.0/24 is for documentation: no host has it.
    const char *optional[] = {"127.0.0.1", "-192.0.2.1"};
    assert_int_equal(listener_open_tcp(&set, optional, 2, port, 16, error, sizeof(error)), 0);
    assert_int_equal(set.count, 1);
    listener_close(&set);
    const char *required[] = {"127.0.0.1", "192.0.2.1"};
    assert_int_equal(listener_open_tcp(&set, required, 2, port, 16, error, sizeof(error)),
                     -EADDRNOTAVAIL);
    assert_int_equal(set.count, 0);
    assert_non_null(strstr(error, "192.0.2.1"));
    assert_true(connect_to("127.0.0.1", port) < 0);
    const char *only[] = {"-192.0.2.1"};
    assert_true(listener_open_tcp(&set, only, 1, port, 16, error, sizeof(error)) < 0);
    const char *nonsense[] = {"no such host."};
    assert_true(listener_open_tcp(&set, nonsense, 1, port, 16, error, sizeof(error)) < 0);
    assert_non_null(strstr(error, "no such host."));
    assert_int_equal(set.count, 0);
}

static void test_port_in_use_and_zero(void **state) {
    (void)state;
    struct listener_set a = {.count = 0}, b = {.count = 0};
    char error[256] = "", expected[64];
    const char *addresses[] = {"127.0.0.1"};
    uint16_t port = free_port();
    assert_int_equal(listener_open_tcp(&a, addresses, 1, port, 16, error, sizeof(error)), 0);
    assert_int_equal(listener_open_tcp(&b, addresses, 1, port, 16, error, sizeof(error)),
                     -EADDRINUSE);
    snprintf(expected, sizeof(expected), "127.0.0.1:%u: Address already in use", port);
    assert_non_null(strstr(error, expected));
    assert_int_equal(b.count, 0);
    assert_int_equal(listener_open_tcp(&b, addresses, 1, 0, 16, error, sizeof(error)), 0);
    assert_int_equal(b.count, 0);
    listener_close(&a);
}

/** Whether somebody listens there. */
static bool answers(uint16_t port) {
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool good = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
    close(fd);
    return good;
}

static void test_stop_and_resume(void **state) {
    (void)state;
    struct listener_set set = {.tag = 1}, stopped = {.count = 0}, other = {.count = 0};
    char error[256] = "";
    const char *addresses[] = {"127.0.0.1"};
    uint16_t first = free_port(), second = free_port();
    assert_int_equal(listener_open_tcp(&set, addresses, 1, first, 16, error, sizeof(error)), 0);
    set.tag = 2;
    assert_int_equal(listener_open_tcp(&set, addresses, 1, second, 16, error, sizeof(error)), 0);
    listener_stop(&set, 1, &stopped);
    assert_int_equal(set.count, 1);
    assert_int_equal(set.tags[0], 2);
    assert_int_equal(stopped.count, 1);
    assert_false(answers(first));
    assert_true(answers(second));
    // The address is free for another, and comes back when that one has gone.
    assert_int_equal(listener_open_tcp(&other, addresses, 1, first, 16, error, sizeof(error)), 0);
    assert_true(answers(first));
    listener_close(&other);
    assert_false(answers(first));
    assert_int_equal(listener_resume(&set, &stopped, 16), 0);
    assert_true(answers(first));
    assert_int_equal(set.count, 2);
    assert_int_equal(set.tags[1], 1);
    assert_int_equal(stopped.count, 0);
    listener_move(&other, &set);
    assert_int_equal(other.count, 2);
    assert_int_equal(set.count, 0);
    listener_close(&other);
    assert_false(answers(first));
}

static void test_unix(void **state) {
    (void)state;
    struct listener_set set = {.count = 0};
    char dir[] = "/tmp/torc-listener-XXXXXX", path[64], text[128], expected[128], error[256];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/s", dir);
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    for (int round = 0; round < 2; round++) { // the second finds the file of the first
        set.tag = 7;
        assert_int_equal(listener_open_unix(&set, path, 0700, 16, error, sizeof(error)), 0);
        assert_int_equal(set.count, 1);
        assert_int_equal(set.tags[0], 7);
        struct stat st;
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0700);
        int client = socket(AF_UNIX, SOCK_STREAM, 0);
        assert_int_equal(connect(client, (struct sockaddr *)&a, sizeof(a)), 0);
        int fd = accept_one(set.fds[0]);
        snprintf(expected, sizeof(expected), "%s:0", path);
        listener_peer_text(fd, text, sizeof(text));
        assert_string_equal(text, expected);
        listener_own_text(fd, text, sizeof(text));
        assert_string_equal(text, expected);
        close(fd);
        close(client);
        listener_close(&set);
    }
    unlink(path);
    // A file that is no socket is somebody's data.
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(listener_open_unix(&set, path, 0, 16, error, sizeof(error)), -EADDRINUSE);
    assert_non_null(strstr(error, path));
    assert_int_equal(access(path, F_OK), 0);
    unlink(path);
    rmdir(dir);
    char longest[300];
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(listener_open_unix(&set, longest, 0, 16, error, sizeof(error)), -ENAMETOOLONG);
    assert_int_equal(set.count, 0);
}

static void test_tune(void **state) {
    (void)state;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    listener_tune(fd, false, 0);
    assert_int_equal(int_option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(int_option(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
    listener_tune(fd, false, 300);
    assert_int_equal(int_option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(int_option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 300);
    assert_int_equal(int_option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 100);
    assert_int_equal(int_option(fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
    listener_tune(fd, false, 1);
    assert_int_equal(int_option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 1);
    listener_tune(fd, true, 300);
    close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ipv4),
        cmocka_unit_test(test_ipv6_beside_ipv4),
        cmocka_unit_test(test_absent_addresses),
        cmocka_unit_test(test_port_in_use_and_zero),
        cmocka_unit_test(test_stop_and_resume),
        cmocka_unit_test(test_unix),
        cmocka_unit_test(test_tune),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
