/*
 * partitioned_file.h
 *		Temporary files of a build: streams of bytes, many to a file.
 *
 * Each participant of a build appends to a file of its own, in chunks that belong to one of
 * nparts parts; afterwards everybody may read a part, which is then what all participants
 * wrote to it.  So the number of open files does not grow with the number of parts, and a part
 * costs one chunk of memory while it is written.  Knows nothing of what the bytes mean.
 */
#ifndef QH_PARTITIONED_FILE_H
#define QH_PARTITIONED_FILE_H

#include "postgres.h"

#include "storage/sharedfileset.h"

typedef struct QhPartFile QhPartFile;

/* Who takes part in a build.  Alone, files are nobody else's, and fileset is NULL. */
typedef struct QhPartFileWriters
{
	SharedFileSet *fileset;
	int			self;
	int			n;
} QhPartFileWriters;

/*
 * Partfile number id of this process.  nchunks[i] says how many chunks participant i has written; it is shared,
 * 0 at first, and set by qh_partfile_finish.
 */
extern QhPartFile *qh_partfile_create(MemoryContext cxt, const QhPartFileWriters *writers, int id, uint32 nparts,
								Size chunk_nbytes, uint64 *nchunks);

extern void qh_partfile_put(QhPartFile *partfile, uint32 part, const void *data, Size nbytes);
/* Nothing more comes for this part for now: its memory is given back. */
extern void qh_partfile_end_part(QhPartFile *partfile, uint32 part);
/* All is written.  What others wrote can be read once they have done the same. */
extern void qh_partfile_finish(QhPartFile *partfile);

/* Bytes of a part. */
extern uint64 qh_partfile_part_nbytes(QhPartFile *partfile, uint32 part);
/* Read from the beginning of a part. */
extern void qh_partfile_rewind(QhPartFile *partfile, uint32 part);
/* Pass over bytes of it, most of which are not even read from the file. */
extern void qh_partfile_skip(QhPartFile *partfile, uint64 nbytes);
/* The next bytes of it; false at its end, an error if it ends in their midst. */
extern bool qh_partfile_get(QhPartFile *partfile, void *data, Size nbytes);
/* The same where they must be there. */
extern void qh_partfile_get_rest(QhPartFile *partfile, void *data, Size nbytes);

/* Nobody here reads any more. */
extern void qh_partfile_close(QhPartFile *partfile);
/* Delete the files of all participants; for one of them, when all have closed theirs. */
extern void qh_partfile_delete(QhPartFile *partfile);

#endif							/* QH_PARTITIONED_FILE_H */
