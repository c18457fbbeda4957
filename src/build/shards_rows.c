/*
 * shards_rows.c
 *		The step "scan": each row goes to the shard of its code.
 *
 * See README.md, section "In shards".
 */
#include "postgres.h"

#include "build/shards_state.h"
#include "miscadmin.h"

/* Rows of this process after which the shared counter is moved. */
#define COUNT_ROWS		256

/* Send the record in shards->row, whose codes are there already. */
static void
send_row(QhBuild *build, const QhNewRow *row)
{
	QhShards   *shards = build->shards;
	QhRowCodes	codes = qh_sent_row_codes(build, shards->row);
	QhSpace		space = qh_build_space(build, NULL, 0);
	uint32		shard = qh_splitter_shard(shards->splitters[0], &space, build->pair_codec != NULL ? codes.pair : codes.code);

	((QhSentRow *) shards->row)->tid = *row->tid;
	if (build->meta.filter_nbytes > 0)
		memcpy(shards->row + qh_sent_row_nbytes(build) - build->meta.filter_nbytes, row->record, build->meta.filter_nbytes);
	qh_partfile_put(shards->files[QH_FILE_ROWS], shard, shards->row, qh_sent_row_nbytes(build));
	if (++shards->nuncounted == COUNT_ROWS)
	{
		pg_atomic_fetch_add_u64(&shards->shared->nrows, shards->nuncounted);
		shards->nuncounted = 0;
		qh_shards_report(build, QH_STEP_SCAN);
	}
}

void
qh_shards_row(QhBuild *build, const void *data, const QhNewRow *row)
{
	qh_build_encode(build, data, qh_sent_row_codes(build, build->shards->row));
	send_row(build, row);
}

/* Send a row of a node that was collected in memory. */
static void
send_dedup(QhBuild *build, const QhDedup *dedup, uint32 node, const QhNewRow *row)
{
	QhRowCodes	to = qh_sent_row_codes(build, build->shards->row);
	QhRowCodes	from = qh_dedup_node(dedup, node);

	memcpy(to.code, from.code, dedup->code_nbytes);
	if (dedup->refine_nbytes > 0)
		memcpy(to.refine, from.refine, dedup->refine_nbytes);
	if (dedup->pair_nbytes > 0)
		memcpy(to.pair, from.pair, dedup->pair_nbytes);
	send_row(build, row);
}

void
qh_shards_take_dedup(QhBuild *build, const QhDedup *dedup)
{
	for (uint32 node = 0; node < dedup->nnodes; node++)
	{
		QhRowData	row = qh_dedup_slot(dedup, node);
		uint32		slot = QH_INVALID_NODE;

		CHECK_FOR_INTERRUPTS();
		if (row.flags == QH_ROW_POSTING)
			slot = qh_row_head(row);
		else
		{
			QhNewRow	only = {&dedup->tids[node], qh_dedup_record(dedup, node)};

			send_dedup(build, dedup, node, &only);
		}
		while (slot != QH_INVALID_NODE)
		{
			QhPosting	posting = (QhPosting) (dedup->postings.full + slot * dedup->posting_nbytes);

			for (int i = 0; i < posting->ntids; i++)
			{
				QhNewRow	one = qh_dedup_posting_row(dedup, posting, i);

				send_dedup(build, dedup, node, &one);
			}
			slot = posting->next;
		}
	}
}
