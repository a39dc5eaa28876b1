-- For a server of a provider: what the administrator that it gives you runs once, connected to the database `postgres`.
--   psql "host=… user=… dbname=postgres sslmode=verify-full sslrootcert=…" -v password="$POSTGRES_APP_PASSWORD" -f managed.sql
-- CREATEDB: a restore loads a backup into a second database before it swaps the names.

\set ON_ERROR_STOP on
CREATE ROLE app LOGIN CREATEDB PASSWORD :'password';
GRANT app TO CURRENT_USER;
CREATE DATABASE exhibition OWNER app;
