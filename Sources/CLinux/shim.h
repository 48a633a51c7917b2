// Inline wrappers for the Linux calls that Swift cannot make itself: variadic `syscall`, kernel interfaces that libc does not
// wrap, function-like macros, and the loads and stores with which a ring is shared with the kernel. No logic.
// Every call answers as the kernel does: a result, or a negative errno.
#ifndef TERN_CLINUX_SHIM_H
#define TERN_CLINUX_SHIM_H

// Nothing here asks for _GNU_SOURCE: with it libc's headers declare other types than the Glibc module does, and Swift, which sees
// both modules, refuses the pair. What libc hides without it is called through `syscall`.
#include <errno.h>
#include <linux/io_uring.h>
#include <linux/time_types.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static inline long tern_answer(long result) { return result < 0 ? -(long)errno : result; }

/// Tells the processor that this thread looks at the same place again and again.
static inline void tern_relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// --- io_uring ------------------------------------------------------------------------------------------------------------

/// One submission, flat: the kernel's `io_uring_sqe` without its unions.
struct tern_submission {
  uint8_t opcode;
  uint8_t flags;
  uint16_t priority;
  int32_t fd;
  uint64_t offset;
  uint64_t address;
  uint32_t byte_count;
  uint32_t operation_flags;
  uint64_t user_data;
  uint16_t buffer_group;
  uint16_t personality;
  int32_t file_index;
  uint64_t reserved[2];
};
_Static_assert(sizeof(struct tern_submission) == sizeof(struct io_uring_sqe), "a submission is the kernel's");
_Static_assert(offsetof(struct tern_submission, user_data) == offsetof(struct io_uring_sqe, user_data), "");
_Static_assert(offsetof(struct tern_submission, operation_flags) == offsetof(struct io_uring_sqe, msg_flags), "");
_Static_assert(offsetof(struct tern_submission, buffer_group) == offsetof(struct io_uring_sqe, buf_group), "");

/// One completion.
struct tern_completion {
  uint64_t user_data;
  int32_t result;
  uint32_t flags;
};
_Static_assert(sizeof(struct tern_completion) == sizeof(struct io_uring_cqe), "a completion is the kernel's");

/// One entry of a ring of provided buffers; the first entry's `tail` is the ring's.
struct tern_provided_buffer {
  uint64_t address;
  uint32_t byte_count;
  uint16_t id;
  uint16_t tail;
};
_Static_assert(sizeof(struct tern_provided_buffer) == sizeof(struct io_uring_buf), "a provided buffer is the kernel's");

/// Registers a ring of provided buffers.
struct tern_buffer_registration {
  uint64_t ring_address;
  uint32_t ring_entries;
  uint16_t group;
  uint16_t flags;
  uint64_t reserved[3];
};
_Static_assert(sizeof(struct tern_buffer_registration) == sizeof(struct io_uring_buf_reg), "");

/// Set-up flag of kernel 6.6 and later: no index array between the ring and its submissions.
static const uint32_t TERN_SETUP_NO_SQARRAY = 1u << 16;
/// Flag of a buffer ring of kernel 6.12 and later: a receive consumes only as much of a buffer as it fills.
static const uint16_t TERN_BUFFERS_INCREMENTAL = 2;
/// Flag of a completion: its buffer is not used up, more will be received into the rest of it.
static const uint32_t TERN_COMPLETION_BUFFER_MORE = 1u << 4;

static inline int tern_io_uring_setup(uint32_t entries, struct io_uring_params *parameters) {
  return (int)tern_answer(syscall(SYS_io_uring_setup, entries, parameters));
}
static inline int tern_io_uring_enter(int fd, uint32_t submissions, uint32_t minimum, uint32_t flags,
                                      const void *argument, size_t byte_count) {
  return (int)tern_answer(syscall(SYS_io_uring_enter, fd, submissions, minimum, flags, argument, byte_count));
}
static inline int tern_io_uring_register(int fd, uint32_t opcode, void *argument, uint32_t count) {
  return (int)tern_answer(syscall(SYS_io_uring_register, fd, opcode, argument, count));
}
static inline void *tern_map_ring(int fd, size_t byte_count, uint64_t offset) {
  return mmap(NULL, byte_count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, (off_t)offset);
}

static inline uint32_t tern_load_acquire(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
static inline uint32_t tern_load_relaxed(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_RELAXED); }
static inline void tern_store_release(uint32_t *word, uint32_t value) {
  __atomic_store_n(word, value, __ATOMIC_RELEASE);
}
static inline void tern_store_release_16(uint16_t *word, uint16_t value) {
  __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

// --- memory --------------------------------------------------------------------------------------------------------------

/// Zeroed memory that costs nothing until it is touched; NULL if refused.
static inline void *tern_reserve(size_t byte_count) {
  void *start =
      mmap(NULL, byte_count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return start == MAP_FAILED ? NULL : start;
}

// --- epoll, sockets ------------------------------------------------------------------------------------------------------

static inline int tern_epoll_create(void) { return (int)tern_answer(epoll_create1(EPOLL_CLOEXEC)); }
static inline int tern_epoll_control(int epoll, int operation, int fd, uint32_t events, uint64_t data) {
  struct epoll_event event = {.events = events, .data = {.u64 = data}};
  return (int)tern_answer(epoll_ctl(epoll, operation, fd, &event));
}
/// `timeout` in nanoseconds, negative: for ever.
static inline int tern_epoll_wait(int epoll, struct epoll_event *events, int count, int64_t timeout) {
  struct timespec limit = {.tv_sec = timeout / 1000000000, .tv_nsec = timeout % 1000000000};
  return (int)tern_answer(
      syscall(SYS_epoll_pwait2, epoll, events, count, timeout < 0 ? (void *)0 : &limit, (void *)0, (size_t)0));
}
static inline uint32_t tern_epoll_events(const struct epoll_event *event) { return event->events; }
static inline uint64_t tern_epoll_data(const struct epoll_event *event) { return event->data.u64; }
static const uint32_t TERN_EPOLL_IN = EPOLLIN, TERN_EPOLL_OUT = EPOLLOUT, TERN_EPOLL_ERROR = EPOLLERR,
                      TERN_EPOLL_HANG_UP = EPOLLHUP, TERN_EPOLL_READ_HANG_UP = EPOLLRDHUP,
                      TERN_EPOLL_EDGE = 1u << 31;

static inline int tern_eventfd(void) { return (int)tern_answer(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }
static inline int tern_socket(int family) {
  return (int)tern_answer(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}
static inline int tern_accept(int listener) {
  return (int)tern_answer(syscall(SYS_accept4, listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
}
// A system call of up to four arguments, the last two zero; −errno. The library's recv and send are points at which a thread can be
// cancelled, which they tell it before and after; nobody cancels ours, and with one request to a call it shows.
static inline long tern_transfer(long number, long fd, const void *start, size_t byte_count, long flags) {
#if defined(__x86_64__)
  register long r10 __asm__("r10") = flags;
  register long r8 __asm__("r8") = 0;
  register long r9 __asm__("r9") = 0;
  long answer;
  __asm__ volatile("syscall"
                   : "=a"(answer)
                   : "a"(number), "D"(fd), "S"(start), "d"(byte_count), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return answer;
#else
  return tern_answer(syscall(number, fd, start, byte_count, flags, (void *)0, (size_t)0));
#endif
}
static inline long tern_receive(int fd, void *start, size_t byte_count) {
  return tern_transfer(SYS_recvfrom, fd, start, byte_count, MSG_DONTWAIT);
}
static inline long tern_send(int fd, const void *start, size_t byte_count) {
  return tern_transfer(SYS_sendto, fd, start, byte_count, MSG_DONTWAIT | MSG_NOSIGNAL);
}
static inline int tern_set_option(int fd, int level, int option, int value) {
  return (int)tern_answer(setsockopt(fd, level, option, &value, sizeof value));
}
static inline int tern_set_nonblocking(int fd) {
  int on = 1;
  return (int)tern_answer(syscall(SYS_ioctl, fd, 0x5421 /* FIONBIO */, &on));
}
// Throws away what has come and was not read, up to some megabytes: bytes, 0 at the peer's end or where nothing came, see `ended`.
static inline long tern_discard(int fd, int *ended) {
  char bytes[16384];
  long sum = 0;
  *ended = 0;
  for (int round = 0; round < 256; round++) {
    long count = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (count > 0) {
      sum += count;
      continue;
    }
    *ended = count == 0 || (errno != EAGAIN && errno != EINTR);
    break;
  }
  return sum;
}
static inline int tern_end_sending(int fd) { return (int)tern_answer(shutdown(fd, SHUT_WR)); }
static inline int tern_shutdown(int fd) { return (int)tern_answer(shutdown(fd, SHUT_RDWR)); }
static inline int tern_close(int fd) { return (int)tern_answer(close(fd)); }
static inline int tern_socket_pair(int *two) {
  return (int)tern_answer(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, two));
}
static inline int tern_bind(int fd, const void *address, uint32_t byte_count) {
  return (int)tern_answer(bind(fd, (const struct sockaddr *)address, byte_count));
}
static inline int tern_listen(int fd, int backlog) { return (int)tern_answer(listen(fd, backlog)); }
static inline int tern_socket_name(int fd, struct sockaddr_storage *address) {
  socklen_t byte_count = sizeof *address;
  return (int)tern_answer(getsockname(fd, (struct sockaddr *)address, &byte_count));
}

// --- processors, limits, time --------------------------------------------------------------------------------------------

/// A set of processors, of the size that the kernel's affinity calls take.
struct tern_processors {
  uint64_t words[16];
};
static inline int tern_set_affinity(const struct tern_processors *set) {
  return (int)tern_answer(syscall(SYS_sched_setaffinity, 0, sizeof *set, set));
}
static inline int tern_get_affinity(struct tern_processors *set) {
  return (int)tern_answer(syscall(SYS_sched_getaffinity, 0, sizeof *set, set));
}
static inline int tern_get_open_files(struct rlimit *limit) {
  return (int)tern_answer(getrlimit(RLIMIT_NOFILE, limit));
}
static inline int tern_set_open_files(const struct rlimit *limit) {
  return (int)tern_answer(setrlimit(RLIMIT_NOFILE, limit));
}
/// Nanoseconds of the monotonic clock.
static inline int64_t tern_monotonic(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/// Microseconds since 1970, by the system's clock.
static inline int64_t tern_unix_microseconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_REALTIME, &time);
  return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}
/// Gives the calling thread a name of at most 15 bytes.
static inline void tern_name_this_thread(const char *name) { syscall(SYS_prctl, PR_SET_NAME, name, 0, 0, 0); }
/// Microseconds of CPU that the process has used.
static inline void tern_process_microseconds(int64_t *user, int64_t *system) {
  struct rusage usage = {0};
  getrusage(RUSAGE_SELF, &usage);
  *user = (int64_t)usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec;
  *system = (int64_t)usage.ru_stime.tv_sec * 1000000 + usage.ru_stime.tv_usec;
}
/// Microseconds of CPU that the calling thread has used. 1 is RUSAGE_THREAD.
static inline void tern_thread_microseconds(int64_t *user, int64_t *system) {
  struct rusage usage = {0};
  getrusage((__typeof__(RUSAGE_SELF))1, &usage);
  *user = (int64_t)usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec;
  *system = (int64_t)usage.ru_stime.tv_sec * 1000000 + usage.ru_stime.tv_usec;
}
/// The processor's time-stamp counter; 0 where there is none that Tern knows.
static inline uint64_t tern_time_stamp(void) {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#else
  return 0;
#endif
}
#endif
