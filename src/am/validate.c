/*
 * validate.c
 *		Is an operator class fit for qhnsw?
 */
#include "postgres.h"

#include "access/amvalidate.h"
#include "access/htup_details.h"
#include "am/am.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_type.h"
#include "column/filter_type.h"
#include "compat.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

#define complain(...) ereport(INFO, (errcode(ERRCODE_INVALID_OBJECT_DEFINITION), errmsg(__VA_ARGS__)))

static bool
validate_procs(const char *family, CatCList *procs)
{
	bool		valid = true;

	for (int i = 0; i < procs->n_members; i++)
	{
		Form_pg_amproc proc = (Form_pg_amproc) GETSTRUCT(&procs->members[i]->tuple);

		if (proc->amproclefttype != proc->amprocrighttype)
		{
			complain("operator family \"%s\" of access method %s contains support function %s with different left and right input types",
					 family, "qhnsw", format_procedure(proc->amproc));
			valid = false;
		}
		if (proc->amprocnum != QH_COLUMN_PROC && proc->amprocnum != QH_FILTER_PROC)
		{
			complain("operator family \"%s\" of access method %s contains function %s with invalid support number %d",
					 family, "qhnsw", format_procedure(proc->amproc), proc->amprocnum);
			valid = false;
		}
		else if (!check_amproc_signature(proc->amproc, INTERNALOID, true, 1, 1, INTERNALOID))
		{
			complain("operator family \"%s\" of access method %s contains function %s with wrong signature for support number %d",
					 family, "qhnsw", format_procedure(proc->amproc), proc->amprocnum);
			valid = false;
		}
	}
	return valid;
}

/* Has the family a support function of this number for the type? */
static bool
has_function(CatCList *procs, Oid type, int number)
{
	for (int i = 0; i < procs->n_members; i++)
	{
		Form_pg_amproc proc = (Form_pg_amproc) GETSTRUCT(&procs->members[i]->tuple);

		if (proc->amproclefttype == type && proc->amprocnum == number)
			return true;
	}
	return false;
}

/* A condition on a filter column. */
static bool
validate_condition(const char *family, Form_pg_amop op)
{
	bool		valid = true;

	if (op->amopstrategy < 1 || op->amopstrategy > QH_FILTER_NSTRATEGIES)
	{
		complain("operator family \"%s\" of access method %s contains operator %s with invalid strategy number %d",
				 family, "qhnsw", format_operator(op->amopopr), op->amopstrategy);
		valid = false;
	}
	if (op->amoppurpose != AMOP_SEARCH)
	{
		complain("operator family \"%s\" of access method %s contains operator %s that orders by a filter column",
				 family, "qhnsw", format_operator(op->amopopr));
		valid = false;
	}
	if (!check_amop_signature(op->amopopr, BOOLOID, op->amoplefttype, op->amoprighttype))
	{
		complain("operator family \"%s\" of access method %s contains operator %s with wrong signature",
				 family, "qhnsw", format_operator(op->amopopr));
		valid = false;
	}
	return valid;
}

/* A distance of vectors. */
static bool
validate_distance(const char *family, Form_pg_amop op)
{
	bool		valid = true;

	if (op->amopstrategy != QH_DISTANCE_STRATEGY)
	{
		complain("operator family \"%s\" of access method %s contains operator %s with invalid strategy number %d",
				 family, "qhnsw", format_operator(op->amopopr), op->amopstrategy);
		valid = false;
	}
	if (op->amoppurpose != AMOP_ORDER ||
		!opfamily_can_sort_type(op->amopsortfamily, FLOAT8OID))
	{
		complain("operator family \"%s\" of access method %s contains operator %s that is not for ordering by double precision",
				 family, "qhnsw", format_operator(op->amopopr));
		valid = false;
	}
	if (!check_amop_signature(op->amopopr, FLOAT8OID, op->amoplefttype, op->amoprighttype))
	{
		complain("operator family \"%s\" of access method %s contains operator %s with wrong signature",
				 family, "qhnsw", format_operator(op->amopopr));
		valid = false;
	}
	return valid;
}

static bool
validate_operators(const char *family, CatCList *operators, CatCList *procs)
{
	bool		valid = true;

	for (int i = 0; i < operators->n_members; i++)
	{
		Form_pg_amop op = (Form_pg_amop) GETSTRUCT(&operators->members[i]->tuple);

		if (has_function(procs, op->amoplefttype, QH_FILTER_PROC))
			valid &= validate_condition(family, op);
		else
			valid &= validate_distance(family, op);
	}
	return valid;
}

/*
 * Has the group of one type one support function, and the operators that belong to it?  Those of
 * filter columns are as many as the type has: the key tells which conditions it can decide.
 */
static bool
validate_group(const char *family, const OpFamilyOpFuncGroup *group)
{
	bool		is_filter = group->functionset == (1 << QH_FILTER_PROC);
	bool		valid = true;

	if (is_filter ? group->operatorset == 0 : group->operatorset != (1 << QH_DISTANCE_STRATEGY))
	{
		complain("operator family \"%s\" of access method %s is missing operator(s) for type %s",
				 family, "qhnsw", format_type_be(group->lefttype));
		valid = false;
	}
	if (group->functionset == (1 << QH_COLUMN_PROC | 1 << QH_FILTER_PROC))
	{
		complain("operator family \"%s\" of access method %s contains support functions %d and %d for type %s, of which a type has one",
				 family, "qhnsw", QH_COLUMN_PROC, QH_FILTER_PROC, format_type_be(group->lefttype));
		valid = false;
	}
	else if (!is_filter && group->functionset != (1 << QH_COLUMN_PROC))
	{
		complain("operator family \"%s\" of access method %s is missing support function %d for type %s",
				 family, "qhnsw", QH_COLUMN_PROC, format_type_be(group->lefttype));
		valid = false;
	}
	return valid;
}

/* Does every type have its function and its operators, and the class itself both? */
static bool
validate_groups(const char *family, const char *class, Oid class_type, CatCList *operators, CatCList *procs)
{
	List	   *groups = identify_opfamily_groups(operators, procs);
	bool		valid = true;
	bool		found = false;
	ListCell   *lc;

	foreach(lc, groups)
	{
		OpFamilyOpFuncGroup *group = lfirst(lc);

		if (group->lefttype != group->righttype)
			continue;
		if (group->lefttype == class_type)
			found = true;
		valid &= validate_group(family, group);
	}
	if (!found)
	{
		complain("operator class \"%s\" of access method %s is missing operator(s) and support function(s)",
				 class, "qhnsw");
		valid = false;
	}
	return valid;
}

bool
qhnswvalidate(Oid opclassoid)
{
	HeapTuple	tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(opclassoid));
	Form_pg_opclass opclass;
	HeapTuple	family_tuple;
	const char *family;
	CatCList   *operators;
	CatCList   *procs;
	bool		valid = true;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator class %u", opclassoid);
	opclass = (Form_pg_opclass) GETSTRUCT(tuple);
	family_tuple = SearchSysCache1(OPFAMILYOID, ObjectIdGetDatum(opclass->opcfamily));
	if (!HeapTupleIsValid(family_tuple))
		elog(ERROR, "cache lookup failed for operator family %u", opclass->opcfamily);
	family = NameStr(((Form_pg_opfamily) GETSTRUCT(family_tuple))->opfname);
	operators = SearchSysCacheList1(AMOPSTRATEGY, ObjectIdGetDatum(opclass->opcfamily));
	procs = SearchSysCacheList1(AMPROCNUM, ObjectIdGetDatum(opclass->opcfamily));

	valid &= validate_procs(family, procs);
	valid &= validate_operators(family, operators, procs);
	valid &= validate_groups(family, NameStr(opclass->opcname), opclass->opcintype, operators, procs);

	ReleaseCatCacheList(procs);
	ReleaseCatCacheList(operators);
	ReleaseSysCache(family_tuple);
	ReleaseSysCache(tuple);
	return valid;
}
