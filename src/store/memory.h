/*
 * memory.h
 *		Memory for the floors that do not know memory contexts.
 */
#ifndef QH_MEMORY_H
#define QH_MEMORY_H

#include "postgres.h"

#include "graph/graph.h"

/* The graph room's allocator over a memory context. */
extern QhAlloc qh_context_alloc(MemoryContext cxt);

/* An array made larger, or a new one where p is NULL; it stays where it is if memory is short. */
extern void *qh_alloc_more(MemoryContext cxt, void *p, Size nbytes);

/* Memory aligned to a power of two; freed only with its context. */
extern void *qh_alloc_aligned(MemoryContext cxt, Size nbytes, Size alignment);

#endif							/* QH_MEMORY_H */
