/*
 * partitions.c
 *		Which qhnsw indexes a name stands for: one index, or those of all partitions.
 *
 * Must not open an index: that is qh_inspect_open(), which judges each.  See README.md, section
 * "Partitions".
 */
#include "compat.h"

#include "access/table.h"
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "commands/defrem.h"
#include "inspect/inspect.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

/* The access method of a relation of that kind, or InvalidOid where it has another kind, or is gone. */
static Oid
access_method(Oid relid, char relkind)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			result = InvalidOid;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	if (((Form_pg_class) GETSTRUCT(tuple))->relkind == relkind)
		result = ((Form_pg_class) GETSTRUCT(tuple))->relam;
	ReleaseSysCache(tuple);
	return result;
}

/* The qhnsw indexes of a partitioned index, whose tables are locked. */
static List *
attached_indexes(Oid relid)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
	{
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_INDEX)
			result = lappend_oid(result, lfirst_oid(lc));
	}
	return result;
}

/* The qhnsw indexes of tables that are locked. */
static List *
indexes_of(List *tables)
{
	Oid			am = get_index_am_oid("qhnsw", false);
	List	   *result = NIL;
	ListCell   *table;

	foreach(table, tables)
	{
		Relation	heap = table_open(lfirst_oid(table), NoLock);
		List	   *indexes = RelationGetIndexList(heap);
		ListCell   *index;

		foreach(index, indexes)
		{
			if (access_method(lfirst_oid(index), RELKIND_INDEX) == am)
				result = lappend_oid(result, lfirst_oid(index));
		}
		list_free(indexes);
		table_close(heap, NoLock);
	}
	return result;
}

List *
qh_inspect_indexes(Oid relid)
{
	char		relkind = get_rel_relkind(relid);
	bool		is_table = relkind == RELKIND_PARTITIONED_TABLE;
	Oid			table = is_table ? relid : InvalidOid;
	List	   *tables;
	List	   *result;

	if (!is_table && relkind != RELKIND_PARTITIONED_INDEX)
		return list_make1_oid(relid);
	if (!qh_owns_relation(relid))
		aclcheck_error(ACLCHECK_NOT_OWNER, is_table ? OBJECT_TABLE : OBJECT_INDEX, get_rel_name(relid));
	if (!is_table)
	{
		if (access_method(relid, RELKIND_PARTITIONED_INDEX) != get_index_am_oid("qhnsw", false))
			return list_make1_oid(relid);
		table = IndexGetRelation(relid, false);
	}
	/* the tables first, parents before partitions, as everybody locks them */
	LockRelationOid(table, AccessShareLock);
	tables = find_all_inheritors(table, AccessShareLock, NULL);
	result = is_table ? indexes_of(tables) : attached_indexes(relid);
	/* an index may have no partitions yet; a table of which nothing is looked at is a mistake */
	if (is_table && result == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no partition of \"%s\" has a qhnsw index", get_rel_name(relid))));
	return result;
}
