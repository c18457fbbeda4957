/*
 * planner.h
 *		What the module and the access method ask of this room: hooks and the cost of a scan.
 *
 * Floor 5.  See README.md in this folder.
 */
#ifndef QH_PLANNER_H
#define QH_PLANNER_H

#include "postgres.h"

#include "nodes/nodes.h"

struct PlannerInfo;
struct IndexPath;

/* Called once, when the library is loaded. */
extern void qh_plan_init(void);
extern void qh_junk_columns_init(void);

extern void qhnswcostestimate(struct PlannerInfo *root, struct IndexPath *path, double loop_count,
							  Cost *startup_cost, Cost *total_cost, Selectivity *selectivity,
							  double *correlation, double *pages);

#endif							/* QH_PLANNER_H */
