// jemalloc's own header, its flag macros as functions (Swift does not import function-like macros), and a prefetch. No logic.
#ifndef TERN_CJEMALLOC_SHIM_H
#define TERN_CJEMALLOC_SHIM_H
#include <jemalloc/jemalloc.h>

static inline int tern_mallocx_tcache_none(void) { return MALLOCX_TCACHE_NONE; }
static inline int tern_mallocx_arena(unsigned arena) { return MALLOCX_ARENA(arena); }
static inline int tern_mallocx_zero(void) { return MALLOCX_ZERO; }
static inline int tern_mallocx_align_64(void) { return MALLOCX_ALIGN(64); }

/// A hint that the cache line at `address` will be read soon.
static inline void tern_prefetch(const void *address) { __builtin_prefetch(address, 0, 3); }
#endif
