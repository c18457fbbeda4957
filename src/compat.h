/*
 * compat.h
 *		Everything that differs between PostgreSQL versions.
 *
 * The only place where PG_VERSION_NUM is tested.  Included before any other
 * header by every file from floor 3 up, so it also brings in postgres.h.
 * Knows no type and no index: see src/README.md for the floors.
 */
#ifndef QV_COMPAT_H
#define QV_COMPAT_H

#include "postgres.h"

#include "fmgr.h"

#if PG_VERSION_NUM < 150000
#error "qvec needs PostgreSQL 15 or later"
#endif

/* The varlena macros left postgres.h in version 16. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/*
 * Soft errors: since version 16 an input function may report bad input to the
 * caller instead of throwing.  Before that, reporting is throwing; the context
 * is then never set, and "dummy" is never returned.
 */
#if PG_VERSION_NUM >= 160000
#include "nodes/miscnodes.h"
#else
#define ereturn(context, dummy, ...) \
	do { \
		(void) (context); \
		ereport(ERROR, __VA_ARGS__); \
		return dummy; \
	} while (0)
#endif

/* Since version 16 a relation is extended by many pages of zeros at once. */
#if PG_VERSION_NUM < 160000
#include "storage/smgr.h"

static inline void
smgrzeroextend(SMgrRelation reln, ForkNumber fork, BlockNumber blkno, int nblocks, bool skip_fsync)
{
	PGAlignedBlock zeros = {{0}};

	for (int i = 0; i < nblocks; i++)
		smgrextend(reln, fork, blkno + i, zeros.data, skip_fsync);
}
#endif

/* A relation's place on disk was renamed in version 16. */
#if PG_VERSION_NUM >= 160000
#define qh_locator(rel) ((rel)->rd_locator)
#define qh_relfilenumber(rel) ((rel)->rd_locator.relNumber)
#else
#define qh_locator(rel) ((rel)->rd_node)
#define qh_relfilenumber(rel) ((rel)->rd_node.relNode)
#endif

/* Buffer tags lost their nested struct in version 16, and are compared by functions; needs storage/buf_internals.h. */
#if PG_VERSION_NUM >= 160000
#define qh_buffer_tag_init(tag, locator, fork, blkno) InitBufferTag(tag, &(locator), fork, blkno)
#define qh_buffer_tags_equal(a, b) BufferTagsEqual(a, b)
#else
#define qh_buffer_tag_init(tag, locator, fork, blkno) INIT_BUFFERTAG(*(tag), locator, fork, blkno)
#define qh_buffer_tags_equal(a, b) BUFFERTAGS_EQUAL(*(a), *(b))
#endif

/* A buffer's state has 64 bits from version 19 on; needs storage/buf_internals.h. */
#if PG_VERSION_NUM >= 190000
#define qh_buffer_state(desc) pg_atomic_read_u64(&(desc)->state)
#else
#define qh_buffer_state(desc) pg_atomic_read_u32(&(desc)->state)
#endif

/*
 * Does nobody hold the content lock of a buffer, or wait for it?  Up to version 18 it is an LWLock, and what its state says is not for others to know;
 * but so much is: what it is like before anybody took it.  From version 19 on the answer is no.  Needs storage/buf_internals.h.
 */
#if PG_VERSION_NUM >= 190000
#define qh_content_lock_is_free(desc, free_state) ((void) (desc), (void) (free_state), false)
#else
#define qh_content_lock_is_free(desc, free_state) (pg_atomic_read_u32(&BufferDescriptorGetContentLock(desc)->state) == (free_state))
#endif

/*
 * What a fetch of rows from a heap holds (IndexFetchHeapData), and what it does when it comes to another page, is PostgreSQL's own business; that
 * of versions 15 to 18 was read.  Version 19 keeps a page of the visibility map beside that of the table, and prunes with other arguments.
 */
#if PG_VERSION_NUM < 190000
#define QH_KNOW_HEAP_FETCH
#endif

/* Since version 17 a read stream reads a sequence of pages that is known beforehand; needs storage/read_stream.h. */
#if PG_VERSION_NUM >= 170000
#define QH_HAVE_READ_STREAM
#endif

/*
 * Workers for an index build.  Since version 17 an index type says that it takes them, and the server plans them: none where it must not
 * start any.  Before that it did so for B-trees alone; needs optimizer/optimizer.h.
 */
#if PG_VERSION_NUM >= 170000
#define qh_set_can_build_parallel(am) ((am)->amcanbuildparallel = true)
#define qh_planned_workers(heap, index, info) ((info)->ii_ParallelWorkers)
#else
#define qh_set_can_build_parallel(am) ((void) (am))
#define qh_planned_workers(heap, index, info) plan_create_index_workers(RelationGetRelid(heap), RelationGetRelid(index))
#endif

/* EXPLAIN shows index searches since version 18. */
#if PG_VERSION_NUM >= 180000
#define qh_count_index_scan(desc) \
	do { \
		pgstat_count_index_scan((desc)->indexRelation); \
		if ((desc)->instrument) \
			(desc)->instrument->nsearches++; \
	} while (0)
#else
#define qh_count_index_scan(desc) pgstat_count_index_scan((desc)->indexRelation)
#endif

/* Where an index scan counts its searches, from version 18 on, and flags of the table's scan, from version 19 on; needs access/genam.h. */
#if PG_VERSION_NUM >= 190000
#define qh_index_beginscan(heap, index, snapshot, norderbys) index_beginscan(heap, index, snapshot, NULL, 0, norderbys, SO_NONE)
#elif PG_VERSION_NUM >= 180000
#define qh_index_beginscan(heap, index, snapshot, norderbys) index_beginscan(heap, index, snapshot, NULL, 0, norderbys)
#else
#define qh_index_beginscan(heap, index, snapshot, norderbys) index_beginscan(heap, index, snapshot, 0, norderbys)
#endif

/* Parallel scans of tables, and fetches of rows from them, take flags since version 19; needs access/tableam.h. */
#if PG_VERSION_NUM >= 190000
#define qh_table_beginscan_parallel(heap, pscan) table_beginscan_parallel(heap, pscan, SO_NONE)
#define qh_table_index_fetch_begin(heap) table_index_fetch_begin(heap, SO_NONE)
#else
#define qh_table_beginscan_parallel(heap, pscan) table_beginscan_parallel(heap, pscan)
#define qh_table_index_fetch_begin(heap) table_index_fetch_begin(heap)
#endif

/* The executor was told until version 17 whether it is run once; parameters are the hook's and standard_ExecutorRun's. */
#if PG_VERSION_NUM >= 180000
#define QH_EXECUTOR_RUN_PARAMETERS QueryDesc *query, ScanDirection direction, uint64 count
#define QH_EXECUTOR_RUN_ARGUMENTS query, direction, count
#else
#define QH_EXECUTOR_RUN_PARAMETERS QueryDesc *query, ScanDirection direction, uint64 count, bool once
#define QH_EXECUTOR_RUN_ARGUMENTS query, direction, count, once
#endif

/* Version 18 counts disabled nodes before it compares costs; before that an infinite cost was enough. */
#if PG_VERSION_NUM >= 180000
#define qh_disable_path(path) ((path)->disabled_nodes = 2)
#else
#define qh_disable_path(path) ((void) (path))
#endif

/* One check of ownership, and one of privileges, for all kinds of objects since version 16; needs utils/acl.h. */
#if PG_VERSION_NUM >= 160000
#define qh_owns_relation(relid) object_ownercheck(RelationRelationId, relid, GetUserId())
#define qh_function_aclcheck(function) object_aclcheck(ProcedureRelationId, function, GetUserId(), ACL_EXECUTE)
#else
#define qh_owns_relation(relid) pg_class_ownercheck(relid, GetUserId())
#define qh_function_aclcheck(function) pg_proc_aclcheck(function, GetUserId(), ACL_EXECUTE)
#endif

/* A name of one or two parts as a list; since version 16 it may report bad input; needs utils/regproc.h. */
#if PG_VERSION_NUM >= 160000
#define qh_qualified_name_list(text) stringToQualifiedNameList(text, NULL)
#else
#define qh_qualified_name_list(text) stringToQualifiedNameList(text)
#endif

/* Maintenance runs other people's functions under a search path of its own since version 17; needs utils/guc.h. */
#if PG_VERSION_NUM >= 170000
#define qh_restrict_search_path() RestrictSearchPath()
#else
#define qh_restrict_search_path() ((void) 0)
#endif

/* Vacuum's pause for cost limits; needs commands/vacuum.h. */
#if PG_VERSION_NUM >= 180000
#define qh_vacuum_delay() vacuum_delay_point(false)
#else
#define qh_vacuum_delay() vacuum_delay_point()
#endif

/*
 * May vacuum cut the file of a table with these options (NULL = none)?  Where they do not say, a setting does since version 18; needs
 * utils/rel.h and commands/vacuum.h.
 */
#if PG_VERSION_NUM >= 190000
#define qh_vacuum_may_truncate(options) \
	((options) != NULL && (options)->vacuum_truncate != PG_TERNARY_UNSET ? (options)->vacuum_truncate == PG_TERNARY_TRUE : vacuum_truncate)
#elif PG_VERSION_NUM >= 180000
#define qh_vacuum_may_truncate(options) ((options) != NULL && (options)->vacuum_truncate_set ? (options)->vacuum_truncate : vacuum_truncate)
#else
#define qh_vacuum_may_truncate(options) ((options) == NULL || (options)->vacuum_truncate)
#endif

/* What a collation is was opened in version 18; needs utils/pg_locale.h. */
#if PG_VERSION_NUM >= 180000
#define qh_collation_is_c(collation) (pg_newlocale_from_collation(collation)->collate_is_c)
#else
#define qh_collation_is_c(collation) lc_collate_is_c(collation)
#endif

/* Before the declaration since version 18, behind it until then; GCC and clang take it in front too. */
#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

#endif							/* QV_COMPAT_H */
