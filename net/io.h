// SPDX-License-Identifier: BSD-3-Clause
//
// The I/O interface of a shard: operations are started, their completions come back as events. It
// has two implementations, io_uring (io_uring.c) and epoll (io_epoll.c), and a third in the
// simulator. One struct io belongs to one thread; only io_wake() may be called from another. At
// most one receive and one send are in progress for a connection. Error law: negative errno; an
// operation that was refused at the call never completes with an event.
//
// Life of a connection: io_attach (receiving starts) -> any number of IO_RECV, one IO_SENT for each
// io_send that was not complete at once -> IO_EOF or IO_ERROR at most once -> io_close ->
// IO_CLOSED. Until IO_CLOSED the memory of the connection and of what is being sent must stay;
// after it nothing refers to them.
#ifndef TORC_NET_IO_H
#define TORC_NET_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct io;

/** In a connection's state: an io over another one is concerned with it (io_tls.h). */
#define IO_LAYERED   (1u << 31)
/** The same, but the connection is the backend's own: the kernel has its records. */
#define IO_IN_KERNEL (1u << 30)

/**
 * Embedded as the first member of whatever represents a connection. Private to the backend but for
 * fd.
 */
struct io_conn {
    int fd;
    uint32_t state;       // backend's flags, IO_LAYERED and IO_IN_KERNEL
    uint32_t pending;     // operations the kernel still holds
    struct iovec *send_v; // rest of the send in progress
    size_t send_count;
    struct io_conn *next;       // backend's work list
    struct io_conn *ready_next; // epoll: list of those that have bytes to read
};

enum io_event_kind {
    IO_ACCEPT, // a connection arrived: its fd (now the receiver's; non-blocking, close-on-exec)
    IO_RECV,   // bytes arrived: data, length > 0
    IO_EOF,    // the peer will send no more
    IO_ERROR,  // receiving failed: result is a negative errno; nothing more will arrive
    IO_SENT,   // the kernel has taken the rest of a send (result 0), or it failed (negative errno)
    IO_CLOSED, // the connection is gone; its memory is the owner's again
    IO_WAKE,   // another thread called io_wake
};

struct io_event {
    enum io_event_kind kind;
    int result;           // IO_ACCEPT: the fd; IO_ERROR, IO_SENT: see above
    struct io_conn *conn; // all but IO_ACCEPT and IO_WAKE
    uint32_t tag;         // IO_ACCEPT: the listener's tag
    char *data;           // IO_RECV: writable, valid until the next io_poll on this io
    size_t length;
};

struct io_options {
    uint32_t connections_hint; // expected connections, for table and ring sizes
    uint32_t recv_buffer_size; // bytes of each shared receive buffer (default 16384)
    uint32_t recv_buffers;     // how many of them (default 256, a power of two)
};

struct io_ops {
    const char *name; // "io_uring" or "epoll"
    int (*poll)(struct io *io, struct io_event *events, int max, int64_t timeout_ns);
    int (*listen)(struct io *io, int fd, uint32_t tag);
    void (*unlisten)(struct io *io, int fd);
    void (*attach)(struct io *io, struct io_conn *conn, int fd);
    void (*recv_pause)(struct io *io, struct io_conn *conn);
    void (*recv_resume)(struct io *io, struct io_conn *conn);
    int (*send)(struct io *io, struct io_conn *conn, struct iovec *v, size_t count);
    void (*close)(struct io *io, struct io_conn *conn);
    void (*wake)(struct io *io, struct io *from);
    void (*destroy)(struct io *io);
};

/** What every backend's object starts with. */
struct io {
    const struct io_ops *ops;
    uint64_t polls, waits; // statistics: calls of poll, and those that slept
    uint64_t bytes_in, bytes_out;
};

/**
 * Makes an io of the named backend: "io_uring", "epoll", or "auto", which takes io_uring where it
 * works and epoll otherwise; then *reason is a static text that says why io_uring was not taken
 * (else NULL). Must be called on the thread that will use it. Returns 0 or a negative errno.
 */
int io_create(struct io **out, const char *backend, const struct io_options *options,
              const char **reason);

/**
 * Submits what was started since the last call, and collects events: waits up to timeout_ns (0: not
 * at all, negative: without limit) while there is none. Data of the previous call's events becomes
 * invalid. Returns the number of events (>= 0, also 0 on a signal or timeout) or a negative errno.
 */
static inline int io_poll(struct io *io, struct io_event *events, int max, int64_t timeout_ns) {
    return io->ops->poll(io, events, max, timeout_ns);
}
/**
 * Starts accepting on a listening socket (multishot), if it does not already. The io does not own
 * fd. 0 or a negative errno.
 */
static inline int io_listen(struct io *io, int fd, uint32_t tag) {
    return io->ops->listen(io, fd, tag);
}
/**
 * Accepts no more from fd, which may be closed as soon as this returns; a socket of another number
 * is passed over. What was accepted before may still be delivered.
 */
static inline void io_unlisten(struct io *io, int fd) { io->ops->unlisten(io, fd); }
/** Takes fd over for conn (zeroed by the caller) and starts receiving. */
static inline void io_attach(struct io *io, struct io_conn *conn, int fd) {
    io->ops->attach(io, conn, fd);
}
/**
 * Asks to deliver no more bytes until io_recv_resume. What the kernel has already handed out may
 * still arrive. EOF and errors too. Idempotent.
 */
static inline void io_recv_pause(struct io *io, struct io_conn *conn) {
    io->ops->recv_pause(io, conn);
}
static inline void io_recv_resume(struct io *io, struct io_conn *conn) {
    io->ops->recv_resume(io, conn);
}
/**
 * Sends count > 0 pieces, none of them empty, completely. 1: the kernel has taken them. A negative
 * errno: the connection is broken. 0: the socket is full, IO_SENT tells when the rest has gone;
 * until then (or IO_CLOSED) the bytes must not change, and the array is the io's, which counts down
 * in it.
 */
static inline int io_send(struct io *io, struct io_conn *conn, struct iovec *v, size_t count) {
    return io->ops->send(io, conn, v, count);
}
/**
 * Ends the connection: cancels what is in progress, closes the fd; IO_CLOSED follows. An unfinished
 * send is given up (no IO_SENT). Idempotent.
 */
static inline void io_close(struct io *io, struct io_conn *conn) { io->ops->close(io, conn); }
/**
 * Makes io's owner return from io_poll with IO_WAKE; wake-ups that were not seen yet count as one.
 * Any thread; `from` is the caller's own io, or NULL. With `from`, the wake-up may travel with the
 * caller's next io_poll: a thread that will not poll again passes NULL.
 */
static inline void io_wake(struct io *io, struct io *from) { io->ops->wake(io, from); }
/**
 * Frees io. Connections are closed before (IO_CLOSED seen), and no other thread may wake it any
 * more.
 */
static inline void io_destroy(struct io *io) { io->ops->destroy(io); }

#endif
