// Inline wrappers for the Linux calls that Swift cannot make itself. No logic.
#ifndef TERN_CLINUX_SHIM_H
#define TERN_CLINUX_SHIM_H
#include <sys/epoll.h>
#endif
