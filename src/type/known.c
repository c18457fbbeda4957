/*
 * known.c
 *		Distances of values out of line that were computed while a scan runs.
 *
 * A value out of line is named by its TOAST pointer.  While a scan runs, the rows that it and its
 * statement see are not removed, so that no other value gets the name.  Must not know scans.
 * README.md, section "Distances known".
 */
#include "type/known.h"

#include "access/detoast.h"
#include "common/hashfn.h"
#include "utils/memutils.h"

/* Several times the values that are read for most pages; a power of two. */
#define NKNOWN	1024

typedef struct Known
{
	struct varatt_external pointer;
	uint64		epoch;			/* when it was put here */
	double		dist;
} Known;

/* All is of the query that began last: one that began before no longer remembers. */
static struct
{
	uint64		generation;		/* counts queries */
	uint64		epoch;			/* counts how often all was forgotten */
	int			nusers;			/* scans of this query that run; 0 = nothing is remembered */
	Oid			function;
	char	   *query;			/* what is behind its header */
	Size		query_nbytes;
	Size		query_size;		/* room for it */
	Known		known[NKNOWN];
}			state;

/* A scan that remembers; in its own context. */
typedef struct User
{
	MemoryContextCallback callback;
	uint64		generation;
} User;

static void
forget(void)
{
	state.epoch++;
}

/*
 * A scan ends.  What it saw may be removed from now on, so that nothing stays known, though other
 * scans of the query may go on.
 */
static void
end_user(void *arg)
{
	if (((User *) arg)->generation != state.generation)
		return;
	forget();
	state.nusers--;
}

static bool
is_query(Datum value)
{
	const struct varlena *bytes = (const struct varlena *) DatumGetPointer(value);

	return !VARATT_IS_EXTERNAL(bytes) && !VARATT_IS_COMPRESSED(bytes) &&
		VARSIZE_ANY_EXHDR(bytes) == state.query_nbytes &&
		memcmp(VARDATA_ANY(bytes), state.query, state.query_nbytes) == 0;
}

static void
keep_query(const struct varlena *bytes)
{
	Size		nbytes = VARSIZE_ANY_EXHDR(bytes);

	if (nbytes > state.query_size)
	{
		state.query_size = 0;
		if (state.query != NULL)
			pfree(state.query);
		state.query = NULL;
		state.query = MemoryContextAlloc(TopMemoryContext, nbytes);
		state.query_size = nbytes;
	}
	memcpy(state.query, VARDATA_ANY(bytes), nbytes);
	state.query_nbytes = nbytes;
}

void
qv_known_begin(Oid function, Datum query, MemoryContext cxt)
{
	User	   *user = MemoryContextAllocZero(cxt, sizeof(User));

	if (state.nusers == 0 || state.function != function || !is_query(query))
	{
		state.nusers = 0;
		state.generation++;
		forget();
		keep_query((const struct varlena *) DatumGetPointer(query));
		state.function = function;
	}
	user->generation = state.generation;
	user->callback.func = end_user;
	user->callback.arg = user;
	MemoryContextRegisterResetCallback(cxt, &user->callback);
	state.nusers++;
}

/*
 * The first of the two places of the value that the function is called for, if it is out of line
 * and the other is the query.
 */
static Known *
place_of(FunctionCallInfo fcinfo, struct varatt_external *pointer)
{
	Datum		value = PG_GETARG_DATUM(0);
	Datum		query = PG_GETARG_DATUM(1);

	if (state.nusers == 0 || fcinfo->flinfo == NULL || fcinfo->flinfo->fn_oid != state.function)
		return NULL;
	/* distances are the same both ways round, to the bit */
	if (!VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(value)))
	{
		value = PG_GETARG_DATUM(1);
		query = PG_GETARG_DATUM(0);
	}
	if (!VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(value)) || !is_query(query))
		return NULL;
	VARATT_EXTERNAL_GET_POINTER(*pointer, (struct varlena *) DatumGetPointer(value));
	return &state.known[murmurhash32(pointer->va_valueid) & (NKNOWN - 2)];
}

static inline bool
is_of(const Known *known, const struct varatt_external *pointer)
{
	return known->epoch == state.epoch && memcmp(&known->pointer, pointer, sizeof(*pointer)) == 0;
}

bool
qv_known_get(FunctionCallInfo fcinfo, double *dist)
{
	struct varatt_external pointer = {0};
	const Known *known = place_of(fcinfo, &pointer);

	if (known == NULL || !(is_of(known, &pointer) || is_of(++known, &pointer)))
		return false;
	*dist = known->dist;
	return true;
}

void
qv_known_put(FunctionCallInfo fcinfo, double dist)
{
	struct varatt_external pointer = {0};
	Known	   *known = place_of(fcinfo, &pointer);

	if (known == NULL)
		return;
	if (known->epoch == state.epoch && !is_of(known, &pointer))
		known++;
	*known = (Known) {.pointer = pointer, .epoch = state.epoch, .dist = dist};
}
