/*
 * The storage limit and the read-only stage of a spend cap, inside the engine.
 *
 * Three settings say what holds. Only the server's configuration changes them: no role of a tenant,
 * however it logs in, sets or unsets one, for a session, a role, a database or a function.
 *
 *   lumadb.writes         allowed | no_growth | read_only
 *   lumadb.writes_detail  which limit was reached, for the tenant
 *   lumadb.writes_hint    what lifts it, for the tenant
 *
 * no_growth: what makes rows, indexes or files grow is refused; reading, deleting, dropping,
 * truncating and vacuuming work. read_only: every transaction is made a read-only one at each of its
 * statements, so what a write is says PostgreSQL itself.
 *
 * Invariants:
 * - a limit acts at the start of a statement, also of those inside functions, and never in the
 *   middle of one: configuration is read between the commands of a client;
 * - sessions of the platform's superuser are exempt, background processes are not: those run
 *   functions of tenants, in expressions of indexes;
 * - what cannot be told apart is refused;
 * - while writes are allowed each hook costs one comparison.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/parallel.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_class_d.h"
#include "catalog/pg_index.h"
#include "catalog/pg_proc.h"
#include "commands/extension.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
#include "storage/bufmgr.h"
#include "tcop/utility.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

PG_MODULE_MAGIC_EXT(.name = "lumadb_limits");

typedef enum Writes
{
	WRITES_ALLOWED,
	WRITES_NO_GROWTH,
	WRITES_READ_ONLY,
} Writes;

static const struct config_enum_entry writes_options[] = {
	{"allowed", WRITES_ALLOWED, false},
	{"no_growth", WRITES_NO_GROWTH, false},
	{"read_only", WRITES_READ_ONLY, false},
	{NULL, 0, false},
};

static int	writes = WRITES_ALLOWED;
static char *writes_detail = NULL;
static char *writes_hint = NULL;

/* The innermost query that is being executed is, or is inside of, a foreign key's own action. */
static bool inside_key_action = false;

/* A command that leaves the files no larger than they were makes new ones (VACUUM FULL and kin). */
static bool shrinking = false;

static ExecutorStart_hook_type next_executor_start = NULL;
static ExecutorRun_hook_type next_executor_run = NULL;
static ExecutorFinish_hook_type next_executor_finish = NULL;
static ProcessUtility_hook_type next_process_utility = NULL;
static object_access_hook_type next_object_access = NULL;

static bool
platform_session(void)
{
	return (MyBackendType == B_BACKEND || MyBackendType == B_WAL_SENDER) &&
		superuser_arg(GetSessionUserId());
}

/* Whether this statement is under a limit. What a parallel worker does, its leader was asked for. */
static bool
limited(void)
{
	return writes != WRITES_ALLOWED && IsTransactionState() &&
		!IsParallelWorker() && !platform_session();
}

static void
refuse(const char *command)
{
	bool		read_only = writes == WRITES_READ_ONLY;

	ereport(ERROR,
			(errcode(read_only ? ERRCODE_READ_ONLY_SQL_TRANSACTION : ERRCODE_DISK_FULL),
			 read_only
			 ? errmsg("cannot execute %s in a read-only transaction", command)
			 : errmsg("storage limit reached: cannot execute %s", command),
			 writes_detail && *writes_detail ? errdetail("%s", writes_detail) : 0,
			 writes_hint && *writes_hint ? errhint("%s", writes_hint) : 0));
}

/* PostgreSQL's own refusals in a read-only transaction say why it is one. */
static void
explain_read_only(void *arg)
{
	if (writes != WRITES_READ_ONLY || geterrcode() != ERRCODE_READ_ONLY_SQL_TRANSACTION)
		return;
	if (writes_detail && *writes_detail)
		errdetail("%s", writes_detail);
	if (writes_hint && *writes_hint)
		errhint("%s", writes_hint);
}

static void
explain_begin(ErrorContextCallback *callback)
{
	callback->callback = explain_read_only;
	callback->arg = NULL;
	callback->previous = error_context_stack;
	error_context_stack = callback;
}

static void
explain_end(ErrorContextCallback *callback)
{
	error_context_stack = callback->previous;
}

static const char *
growing_command(CmdType operation)
{
	switch (operation)
	{
		case CMD_INSERT:
			return "INSERT";
		case CMD_UPDATE:
			return "UPDATE";
		case CMD_MERGE:
			return "MERGE";
		default:
			return NULL;
	}
}

/*
 * Foreign keys update rows of the referencing table when a row of the referenced one is deleted: a
 * DELETE shall not fail for that. They alone execute with SECURITY_NOFORCE_RLS; what triggers of the
 * tenant do on the way has it too, but runs inside of a query that had it already.
 */
static bool
key_action(QueryDesc *query)
{
	return query->operation == CMD_UPDATE && InNoForceRLSOperation() && !inside_key_action;
}

static void
check_query(QueryDesc *query, int eflags)
{
	const char *command = growing_command(query->operation);
	ListCell   *cell;

	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	if (command && !key_action(query))
		refuse(command);
	/* Where the rows of a SELECT go: a new table, or a materialized view. */
	if (query->dest && query->dest->mydest == DestIntoRel)
		refuse("CREATE TABLE AS");
	if (query->dest && query->dest->mydest == DestTransientRel)
		refuse("REFRESH MATERIALIZED VIEW");
	if (!query->plannedstmt->hasModifyingCTE)
		return;
	foreach(cell, query->plannedstmt->subplans)
	{
		Plan	   *plan = (Plan *) lfirst(cell);

		if (plan && IsA(plan, ModifyTable))
		{
			command = growing_command(((ModifyTable *) plan)->operation);
			if (command)
				refuse(command);
		}
	}
}

static void
executor_start(QueryDesc *query, int eflags)
{
	ErrorContextCallback callback;
	bool		is_limited = limited();

	if (is_limited)
	{
		check_query(query, eflags);
		if (writes == WRITES_READ_ONLY)
			XactReadOnly = true;
		explain_begin(&callback);
	}
	if (next_executor_start)
		next_executor_start(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
	if (is_limited)
		explain_end(&callback);
}

static void
executor_run_next(QueryDesc *query, ScanDirection direction, uint64 count)
{
	if (next_executor_run)
		next_executor_run(query, direction, count);
	else
		standard_ExecutorRun(query, direction, count);
}

static void
executor_run(QueryDesc *query, ScanDirection direction, uint64 count)
{
	ErrorContextCallback callback;
	bool		outside = inside_key_action;

	if (writes == WRITES_ALLOWED)
	{
		executor_run_next(query, direction, count);
		return;
	}
	inside_key_action = InNoForceRLSOperation();
	explain_begin(&callback);
	PG_TRY();
	{
		executor_run_next(query, direction, count);
	}
	PG_FINALLY();
	{
		inside_key_action = outside;
	}
	PG_END_TRY();
	explain_end(&callback);
}

static void
executor_finish_next(QueryDesc *query)
{
	if (next_executor_finish)
		next_executor_finish(query);
	else
		standard_ExecutorFinish(query);
}

static void
executor_finish(QueryDesc *query)
{
	bool		outside = inside_key_action;

	if (writes == WRITES_ALLOWED)
	{
		executor_finish_next(query);
		return;
	}
	inside_key_action = InNoForceRLSOperation();
	PG_TRY();
	{
		executor_finish_next(query);
	}
	PG_FINALLY();
	{
		inside_key_action = outside;
	}
	PG_END_TRY();
}

static void
check_utility(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_CopyStmt:
			if (((CopyStmt *) statement)->is_from)
				refuse("COPY FROM");
			break;
		case T_CreateTableAsStmt:
			if (!((CreateTableAsStmt *) statement)->into->skipData)
				refuse(((CreateTableAsStmt *) statement)->objtype == OBJECT_MATVIEW
					   ? "CREATE MATERIALIZED VIEW" : "CREATE TABLE AS");
			break;
		case T_RefreshMatViewStmt:
			if (!((RefreshMatViewStmt *) statement)->skipData)
				refuse("REFRESH MATERIALIZED VIEW");
			break;
		case T_CreatedbStmt:
			/* It copies a whole template. */
			refuse("CREATE DATABASE");
			break;
		default:
			break;
	}
}

/* Commands that write new files in place of old ones which are not smaller. */
static bool
shrinks(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_VacuumStmt:
		case T_ClusterStmt:
		case T_ReindexStmt:
		case T_RefreshMatViewStmt:
			return true;
		default:
			return false;
	}
}

static void
process_utility_next(PlannedStmt *statement, const char *text, bool read_only_tree,
					 ProcessUtilityContext context, ParamListInfo parameters,
					 QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *completion)
{
	if (next_process_utility)
		next_process_utility(statement, text, read_only_tree, context, parameters, environment,
							 dest, completion);
	else
		standard_ProcessUtility(statement, text, read_only_tree, context, parameters, environment,
								dest, completion);
}

static void
process_utility(PlannedStmt *statement, const char *text, bool read_only_tree,
				ProcessUtilityContext context, ParamListInfo parameters,
				QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *completion)
{
	ErrorContextCallback callback;
	bool		outside = shrinking;

	if (!limited())
	{
		process_utility_next(statement, text, read_only_tree, context, parameters, environment,
							 dest, completion);
		return;
	}
	check_utility(statement->utilityStmt);
	if (writes == WRITES_READ_ONLY)
		XactReadOnly = true;
	shrinking = shrinks(statement->utilityStmt);
	explain_begin(&callback);
	PG_TRY();
	{
		process_utility_next(statement, text, read_only_tree, context, parameters, environment,
							 dest, completion);
	}
	PG_FINALLY();
	{
		shrinking = outside;
	}
	PG_END_TRY();
	explain_end(&callback);
}

/* Functions by which large objects grow. */
static bool
grows_large_object(Oid function)
{
	switch (function)
	{
		case F_LO_CREAT:
		case F_LO_CREATE:
		case F_LO_FROM_BYTEA:
		case F_LO_IMPORT_TEXT:
		case F_LO_IMPORT_TEXT_OID:
		case F_LO_PUT:
		case F_LO_TRUNCATE:
		case F_LO_TRUNCATE64:
		case F_LOWRITE:
			return true;
		default:
			return false;
	}
}

/* The row of a relation that was made a moment ago, which no snapshot but this shows. */
static HeapTuple
new_row(Oid catalog, Oid index, AttrNumber key_column, Oid key)
{
	Relation	relation = table_open(catalog, AccessShareLock);
	ScanKeyData scan_key;
	SysScanDesc scan;
	HeapTuple	row;

	ScanKeyInit(&scan_key, key_column, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(key));
	scan = systable_beginscan(relation, index, true, SnapshotSelf, 1, &scan_key);
	row = systable_getnext(scan);
	if (HeapTupleIsValid(row))
		row = heap_copytuple(row);
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return row;
}

/* Whether the table of a new index has anything in it. */
static bool
indexes_something(Oid index)
{
	HeapTuple	row = new_row(IndexRelationId, IndexRelidIndexId, Anum_pg_index_indexrelid, index);
	Relation	table;
	bool		something;

	if (!HeapTupleIsValid(row))
		return true;
	table = relation_open(((Form_pg_index) GETSTRUCT(row))->indrelid, NoLock);
	something = RELKIND_HAS_STORAGE(table->rd_rel->relkind) &&
		RelationGetNumberOfBlocks(table) > 0;
	relation_close(table, NoLock);
	heap_freetuple(row);
	return something;
}

/*
 * A relation was made, and nothing is in it yet. An index on a table that has rows is about to be
 * built; a table that PostgreSQL made for itself is about to get the rows of another one.
 */
static void
check_relation(Oid relation, bool is_internal)
{
	HeapTuple	row = new_row(RelationRelationId, ClassOidIndexId, Anum_pg_class_oid, relation);
	char		kind;

	if (!HeapTupleIsValid(row))
		return;
	kind = ((Form_pg_class) GETSTRUCT(row))->relkind;
	heap_freetuple(row);
	if (kind == RELKIND_INDEX && indexes_something(relation))
		refuse("CREATE INDEX on a table that has rows");
	if (is_internal && (kind == RELKIND_RELATION || kind == RELKIND_MATVIEW))
		refuse("ALTER TABLE that rewrites its table");
}

static void
object_access(ObjectAccessType access, Oid catalog, Oid object, int sub, void *arg)
{
	if (next_object_access)
		next_object_access(access, catalog, object, sub, arg);
	if (writes == WRITES_ALLOWED)
		return;
	if (access == OAT_FUNCTION_EXECUTE)
	{
		if (grows_large_object(object) && limited())
			refuse("functions that write large objects");
	}
	else if (access == OAT_POST_CREATE && catalog == RelationRelationId && sub == 0 &&
			 !shrinking && limited())
		check_relation(object, ((ObjectAccessPostCreate *) arg)->is_internal);
}

void
_PG_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		ereport(ERROR, (errmsg("lumadb_limits is loaded by shared_preload_libraries only")));

	DefineCustomEnumVariable("lumadb.writes",
							 "Which statements are allowed under the limits of the organization.",
							 NULL, &writes, WRITES_ALLOWED, writes_options,
							 PGC_SIGHUP, GUC_DISALLOW_IN_AUTO_FILE, NULL, NULL, NULL);
	DefineCustomStringVariable("lumadb.writes_detail",
							   "Which limit was reached.",
							   NULL, &writes_detail, "",
							   PGC_SIGHUP, GUC_DISALLOW_IN_AUTO_FILE, NULL, NULL, NULL);
	DefineCustomStringVariable("lumadb.writes_hint",
							   "What lifts the limit that was reached.",
							   NULL, &writes_hint, "",
							   PGC_SIGHUP, GUC_DISALLOW_IN_AUTO_FILE, NULL, NULL, NULL);

	next_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = executor_start;
	next_executor_run = ExecutorRun_hook;
	ExecutorRun_hook = executor_run;
	next_executor_finish = ExecutorFinish_hook;
	ExecutorFinish_hook = executor_finish;
	next_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
	next_object_access = object_access_hook;
	object_access_hook = object_access;
}
