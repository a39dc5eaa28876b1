-- For a server of a provider: what the administrator that it gives you runs once, connected to the database `postgres`.
--   psql "host=… user=… dbname=postgres sslmode=verify-full sslrootcert=…" \
--     -v password="$POSTGRES_APP_PASSWORD" -v metrics_password="$POSTGRES_METRICS_PASSWORD" -f managed.sql
-- CREATEDB: a restore loads a backup into a second database before it swaps the names.

\set ON_ERROR_STOP on
CREATE ROLE app LOGIN CREATEDB PASSWORD :'password';
GRANT app TO CURRENT_USER;
CREATE DATABASE exhibition OWNER app;
-- For `make obs-up`
CREATE ROLE metrics LOGIN CONNECTION LIMIT 3 PASSWORD :'metrics_password';
GRANT pg_monitor TO metrics;
