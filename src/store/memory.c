/*
 * memory.c
 *		Memory for the floors that do not know memory contexts.
 */
#include "postgres.h"

#include "store/memory.h"
#include "utils/memutils.h"

static void *
context_alloc(void *ctx, size_t nbytes)
{
	/* arrays over all nodes of a large build pass the one-gigabyte mark */
	return MemoryContextAllocHuge((MemoryContext) ctx, nbytes);
}

static void
context_release(void *ctx, void *p)
{
	pfree(p);
}

QhAlloc
qh_context_alloc(MemoryContext cxt)
{
	QhAlloc		alloc = {context_alloc, context_release, cxt};

	return alloc;
}

void *
qh_alloc_more(MemoryContext cxt, void *p, Size nbytes)
{
	return p == NULL ? MemoryContextAllocHuge(cxt, nbytes) : repalloc_huge(p, nbytes);
}

void *
qh_alloc_aligned(MemoryContext cxt, Size nbytes, Size alignment)
{
	return (void *) TYPEALIGN(alignment, MemoryContextAllocHuge(cxt, nbytes + alignment));
}
