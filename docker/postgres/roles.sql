-- The roles of a tier, created or repaired: the administrator runs this at each start.
-- `app` owns the application's database, `backup` reads it, `metrics` sees the server's statistics; none can become more.

\set ON_ERROR_STOP on
\getenv database DATABASE
\getenv app_password APP_PASSWORD
\getenv app_option APP_OPTION
\getenv backup_password BACKUP_PASSWORD
\getenv metrics_password METRICS_PASSWORD

-- A statement that fails must not write a password into the server's log.
SET log_min_error_statement = panic;
-- Hides notices about privileges that were granted before.
SET client_min_messages = warning;
-- Fail rather than block a running application; the next start tries again.
SET lock_timeout = '5s';

SELECT 'CREATE ROLE app' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'app') \gexec
ALTER ROLE app LOGIN NOSUPERUSER NOCREATEROLE NOREPLICATION NOBYPASSRLS :app_option PASSWORD :'app_password';
-- `migrate` makes visitors win a deadlock by it.
GRANT SET ON PARAMETER deadlock_timeout TO app;

SELECT :'backup_password' <> '' AS has_backup \gset
\if :has_backup
SELECT 'CREATE ROLE backup' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'backup') \gexec
ALTER ROLE backup LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE REPLICATION NOBYPASSRLS PASSWORD :'backup_password';
-- What Barman's check requires.
GRANT pg_read_all_data, pg_monitor, pg_checkpoint TO backup;
GRANT EXECUTE ON FUNCTION pg_backup_start(text, boolean), pg_backup_stop(boolean), pg_switch_wal(),
  pg_create_restore_point(text) TO backup;
\endif

SELECT :'metrics_password' <> '' AS has_metrics \gset
\if :has_metrics
SELECT 'CREATE ROLE metrics' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'metrics') \gexec
ALTER ROLE metrics LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 3
PASSWORD :'metrics_password';
GRANT pg_monitor TO metrics;
\endif

-- A server that a backup is about to be loaded into has none yet.
SELECT EXISTS (SELECT FROM pg_database WHERE datname = :'database') AS has_database \gset
\if :has_database
\connect :"database"
SET lock_timeout = '5s';
SELECT format('ALTER DATABASE %I OWNER TO app', datname) FROM pg_database
WHERE datname = current_database() AND datdba <> 'app'::regrole \gexec

-- Objects of the administrator, from before the application had a role of its own. Indexes and sequences follow their
-- table.
SELECT format('ALTER %s %s OWNER TO app', CASE WHEN relkind = 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::regclass)
FROM pg_class c
WHERE relkind IN ('r', 'p', 'v', 'm', 'S')
AND relnamespace = 'public'::regnamespace AND relowner = current_user::regrole
AND NOT EXISTS (SELECT FROM pg_depend
                WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype IN ('a', 'e', 'i'))
UNION ALL
SELECT format('ALTER ROUTINE %s OWNER TO app', p.oid::regprocedure) FROM pg_proc p
WHERE pronamespace = 'public'::regnamespace AND proowner = current_user::regrole
AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e')
UNION ALL
SELECT format('ALTER STATISTICS %I.%I OWNER TO app', 'public', stxname) FROM pg_statistic_ext
WHERE stxnamespace = 'public'::regnamespace AND stxowner = current_user::regrole
\gexec
\endif
